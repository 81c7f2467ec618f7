import streamlit as st

from core.errors import LiminalError
from ui.analysis import disagreement, large_disagreement, large_sets, material
from ui.analysis.choices import one_of
from ui.words import lead

st.title("Where people and machines part ways", anchor=False)
st.html(lead("The same faces, ranked by how far their judges are from one another. Press one to see every single vote."))

try:
    ways = {"study": "People and models, in a study", "large": "In a large data set"}
    if large_sets.listed() and one_of("Whose answers?", list(ways), "of", titles=ways, hidden=True) == "large":
        large_disagreement.show()
    else:
        chosen = material.choose()
        if chosen is not None:
            disagreement.show(chosen)
except LiminalError as error:
    st.error(str(error))
