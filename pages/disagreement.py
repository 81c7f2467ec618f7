import streamlit as st

from core.errors import LiminalError
from ui.analysis import disagreement, large_sets, study_choice
from ui.markup import intro_html
from ui.selection import bound_choice

st.title("Where people and machines part ways", anchor=False)
st.html(intro_html("The same faces, ranked by how far their judges are from one another. Press one to see every single vote."))

try:
    ways = {"study": "People and models, in a study", "large": "In a large data set"}
    if large_sets.list_data_sets() and bound_choice("Whose answers?", list(ways), "of", titles=ways, hidden=True) == "large":
        large_sets.show_large_disagreement()
    else:
        chosen = study_choice.choose_study()
        if chosen is not None:
            disagreement.show_disagreement(chosen)
except LiminalError as error:
    st.error(str(error))
