import streamlit as st

from core.errors import LiminalError
from ui.markup import intro_html

with st.container(key="map-page"):
    choices, sheet = st.columns([9, 20], gap="large")
with choices:
    st.title("All faces on one map", anchor=False)
    st.html(
        intro_html(
            "Those that are alike lie near each other. Move, go closer, point at one, or draw around some to see who they are."
        )
    )

try:
    from ui.analysis import map_faces, map_page  # once the title is painted: SciPy

    with choices:
        faces = map_faces.choose_map_faces()
    if faces is not None:
        map_page.show_map(faces, choices, sheet)
except LiminalError as error:
    st.error(str(error))
