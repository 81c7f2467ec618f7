import streamlit as st

from ui.studies import face_making, rater

if face_making.PARAMETER in st.query_params:
    face_making.show_face_making()
else:
    rater.show_rater_page()
