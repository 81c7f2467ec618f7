import streamlit as st

from core.errors import LiminalError
from ui.studies import owner_gate

try:
    if owner_gate.require_owner():
        from ui.studies import chains_page  # Plotly, SciPy

        if "made" in st.query_params:
            chains_page.show_chain_study(st.query_params["made"])
        elif "new" in st.query_params:
            chains_page.show_new_chains()
        else:
            chains_page.show_chain_studies()
except LiminalError as error:
    st.error(str(error))
