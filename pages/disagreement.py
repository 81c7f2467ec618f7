import streamlit as st

from core.errors import LiminalError
from ui.analysis import disagreement, material
from ui.words import lead

st.title("Where people and machines part ways", anchor=False)
st.html(lead("The same faces, ranked by how far their judges are from one another. Press one to see every single vote."))

try:
    chosen = material.choose()
    if chosen is not None:
        disagreement.show(chosen)
except LiminalError as error:
    st.error(str(error))
