import streamlit as st

from core.errors import LiminalError
from ui.analysis import causes
from ui.markup import intro_html

st.title("What matters?", anchor=False)
st.html(
    intro_html(
        "One part of a face is moved, and nothing else: longer hair, a turned head, light from the side. What does the machine "
        "mind, and what do people? Press a row for its faces."
    )
)

try:
    causes.show_causes_page()
except LiminalError as error:
    st.error(str(error))
