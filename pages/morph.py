import streamlit as st

from core.errors import LiminalError
from ui import model_choice, morph, state
from ui.words import lead

st.title("From one feeling to another", anchor=False)
st.html(
    lead(
        "One person, a row of pictures: at one end clearly the first feeling, at the other clearly the second. Somewhere between "
        "them each network changes its mind, and not all at the same picture."
    )
)

try:
    model_choice.tell_gone(generator="generator", steerer="classifier", asked="classifier")
    view = state.read_morph()
    _, configuration = morph.choose(view)
    if configuration is not None:
        morph.show(configuration, view.frames)
except LiminalError as error:
    st.error(str(error))
