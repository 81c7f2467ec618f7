import streamlit as st

from core.errors import LiminalError
from ui.studies import bringing, owner_gate

try:
    if owner_gate.opened():
        bringing.show()
except LiminalError as error:
    st.error(str(error))
