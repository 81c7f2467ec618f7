import streamlit as st

from core.errors import LiminalError
from ui import state
from ui.markup import caption_html, intro_html
from ui.phone import page, zoo

st.title("Who could unlock my phone?", anchor=False)
st.html(
    intro_html("Choose a face as the owner, and a search looks for a stranger who gets in.")
    + intro_html(
        "Below, a crowd of generated strangers hold their faces in front of the phone. A real recogniser decides about each; drag "
        "its limit to see who gets in.",
        wide_only=True,
    )
)

try:
    state.warn_missing_models(generator="generator", recogniser="recogniser")
    with st.container(key="models"), st.popover("Change the models", type="tertiary", icon=":material/tune:"):
        generator, recogniser = state.choose_models("phone")
    view = page.read_phone_state(generator, recogniser)
    owner = page.choose_owner(view)
    if owner is not None:
        page.show_wall(view, owner)
        page.show_findings(view, owner)
        zoo.show_masters(view)
        zoo.show_animals(view)
        st.html(
            caption_html(
                "A limit is always a trade: the stricter it is, the fewer strangers get in, and the more often you are refused "
                "yourself. Real phones also use depth, infrared light and several pictures; none of that is tested here."
            )
        )
except LiminalError as error:
    st.error(str(error))
