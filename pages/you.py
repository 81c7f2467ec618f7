import streamlit as st

from core.errors import LiminalError
from ui.alignment import studies, you
from ui.analysis import material
from ui.words import lead

st.title("How do you see it?", anchor=False)
st.html(
    lead("Say of thirty faces which feeling you see. Each answer is guessed before you give it.")
    + lead("Afterwards you see where you part from the crowd.", wide_only=True)
)

try:
    studies.prefer_feelings()
    asked = st.container(key="you-asked")  # first what there is to do, then with whom one is compared
    with st.expander("The crowd you are compared with", expanded=not studies.about_feelings(), icon=":material/groups:"):
        chosen = material.choose()
    if chosen is not None:
        with asked:
            you.show(chosen)
except LiminalError as error:
    st.error(str(error))
