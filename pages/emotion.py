import streamlit as st

from core.errors import LiminalError
from ui import state
from ui.emotion import grid, page
from ui.markup import intro_html

st.title("Which feeling is this?", anchor=False)
st.html(intro_html("Faces that could be either of two feelings, made while you watch: a network is led to where it cannot decide."))

try:
    state.warn_missing_models(generator="generator", steerer="classifier", asked="classifier")
    view = state.read_emotion_state()
    base, configuration = page.choose_configuration(view)
    run = page.find_or_make_run(configuration, base.title) if configuration is not None else None
    if configuration is not None and run is not None:
        page.show_run(configuration, base, run, view.sample)
    st.space("medium")
    grid.show_grid(view, base)
    st.space("medium")
    page.show_acceptance_table(view)
except LiminalError as error:
    st.error(str(error))
