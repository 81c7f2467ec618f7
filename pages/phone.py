import streamlit as st

from core.errors import LiminalError
from ui import model_choice, phone, phone_findings, state
from ui.words import fine, lead

st.title("Who could unlock my phone?", anchor=False)
st.html(
    lead(
        "Choose a face as the owner. A crowd of generated strangers then holds their faces in front of the phone, and a real "
        "recogniser decides about each of them. Drag the limit to see who gets in."
    )
)

try:
    model_choice.tell_gone(generator="generator", recogniser="recogniser")
    with st.container(key="models"), st.popover("Change the models", type="tertiary", icon=":material/tune:"):
        generator, recogniser = state.model_choices()
    view = phone.read_state(generator, recogniser)
    owner = phone.choose_owner(view)
    if owner is not None:
        phone.show_wall(view, owner)
        phone_findings.show_findings(view, owner)
        st.html(
            fine(
                "A limit is always a trade: the stricter it is, the fewer strangers get in, and the more often you are refused "
                "yourself. Real phones also use depth, infrared light and several pictures; none of that is tested here."
            )
        )
except LiminalError as error:
    st.error(str(error))
