import streamlit as st

from core.errors import LiminalError
from ui.studies import making, owner_gate, shelf, study_view

try:
    if owner_gate.opened():
        if "study" in st.query_params:
            study_view.show(st.query_params["study"])
        elif "new" in st.query_params:
            making.show(st.query_params["new"])
        else:
            shelf.show()
except LiminalError as error:
    st.error(str(error))
