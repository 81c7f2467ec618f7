import streamlit as st

from core.errors import LiminalError
from ui import state
from ui.emotion import morph
from ui.markup import intro_html

st.title("From one feeling to another", anchor=False)
st.html(
    intro_html(
        "One person, a row of pictures: at one end clearly the first feeling, at the other clearly the second. Somewhere between "
        "them each network changes its mind, and not all at the same picture."
    )
)

try:
    state.warn_missing_models(generator="generator", steerer="classifier", asked="classifier")
    view = state.read_morph_state()
    _, configuration = morph.choose_morph(view)
    if configuration is not None:
        morph.show_morph(configuration, view.frames)
except LiminalError as error:
    st.error(str(error))
