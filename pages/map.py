import streamlit as st

from core.errors import LiminalError
from ui.analysis import map as faces_map
from ui.analysis import map_faces
from ui.words import lead

st.title("All faces on one map", anchor=False)
st.html(lead("Those that are alike lie near each other. Move, go closer, point at one, or draw around some to see who they are."))

try:
    faces = map_faces.choose()
    if faces is not None:
        faces_map.show(faces)
except LiminalError as error:
    st.error(str(error))
