import streamlit as st

from core.errors import LiminalError
from ui import emotion, emotion_acceptance, model_choice, state
from ui.words import lead

st.title("Which feeling is this?", anchor=False)
st.html(lead("Faces that could be either of two feelings, made while you watch: a network is led to where it cannot decide."))

try:
    model_choice.tell_gone(generator="generator", steerer="classifier", asked="classifier")
    view = state.read_emotion()
    base, configuration = emotion.choose(view)
    run = emotion.made_run(configuration, base.title) if configuration is not None else None
    if configuration is not None and run is not None:
        emotion.show_run(configuration, base, run, view.sample)
    st.space("medium")
    emotion_acceptance.show(view)
except LiminalError as error:
    st.error(str(error))
