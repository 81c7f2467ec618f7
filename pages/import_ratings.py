import streamlit as st

from core.errors import LiminalError
from ui.studies import import_page, owner_gate

try:
    if owner_gate.require_owner():
        import_page.show_import()
except LiminalError as error:
    st.error(str(error))
