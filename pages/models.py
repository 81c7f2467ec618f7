import streamlit as st

from core.errors import LiminalError
from ui.models import adding, shelf
from ui.words import lead

st.title("The models", anchor=False)
st.html(
    lead(
        "Everything that makes or judges faces here, where it comes from and what it must not be used for. Try any of them, or "
        "bring your own."
    )
)
try:
    adding.show()
    shelf.show()
except LiminalError as error:
    st.error(str(error))
