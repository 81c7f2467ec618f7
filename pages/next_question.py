import streamlit as st

from ui import navigation

st.switch_page(navigation.build_page(navigation.ALIGN), query_params={navigation.FROM: navigation.NEXT_QUESTION.url})
