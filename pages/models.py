import streamlit as st

from core.errors import LiminalError
from ui.markup import intro_html
from ui.models import page

st.title("The models", anchor=False)
st.html(
    intro_html(
        "Everything that makes or judges faces here, where it comes from and what it must not be used for. Try any of them, or "
        "bring your own."
    )
)
try:
    page.show_add_form()
    page.show_models()
except LiminalError as error:
    st.error(str(error))
