import streamlit as st

from core.errors import LiminalError
from ui.analysis import study_choice
from ui.markup import intro_html
from ui.selection import bound_choice

MODES = {
    "models": "two models",
    "people": "people and a network",
    "groups": "two groups of people",
    "studies": "two studies",
    "sets": "two sample sets",
}

st.title("What is the difference?", anchor=False)
st.html(intro_html("Two of a kind on the same axes, with the difference and how sure it is."))
mode = bound_choice("Compare", list(MODES), "compare", titles=MODES)

try:
    chosen = None if mode == "sets" else study_choice.choose_study()
    if mode == "sets" or chosen is not None:
        from ui.analysis import compare  # once the choice of a study is painted: SciPy, Plotly

        compare.show_compare(mode, chosen)
except LiminalError as error:
    st.error(str(error))
