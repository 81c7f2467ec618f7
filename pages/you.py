import streamlit as st

from core.errors import LiminalError
from ui.alignment import studies, you
from ui.analysis import material
from ui.words import lead

st.title("How do you see it?", anchor=False)
st.html(
    lead(
        "Say of thirty faces which feeling you see. Before each answer it is guessed from those before; afterwards you see where "
        "you part from the crowd."
    )
)

try:
    studies.prefer_feelings()
    with st.expander("The crowd you are compared with", expanded=not studies.about_feelings(), icon=":material/groups:"):
        chosen = material.choose()
    if chosen is not None:
        you.show(chosen)
except LiminalError as error:
    st.error(str(error))
