import streamlit as st

from core.errors import LiminalError
from ui.analysis import study_choice
from ui.markup import intro_html
from ui.selection import bound_choice

st.title("Where people and machines part ways", anchor=False)
st.html(intro_html("The same faces, ranked by how far their judges are from one another. Press one to see every single vote."))

try:
    kinds = {"study": "People and models, in a study", "large": "In a large data set"}
    large = bool(study_choice.list_visible_data_sets())
    if large and bound_choice("Whose answers?", list(kinds), "of", titles=kinds, hidden=True) == "large":
        from ui.analysis import large_sets  # once the choice is painted: SciPy

        large_sets.show_large_disagreement()
    else:
        chosen = study_choice.choose_study()
        if chosen is not None:
            from ui.alignment import two_people  # once the choice of a study is painted: SciPy
            from ui.analysis import disagreement

            disagreement.show_disagreement(chosen)
            two_people.show_two_people(chosen)
except LiminalError as error:
    st.error(str(error))
