import streamlit as st

from core.errors import LiminalError
from ui.studies import new_study, owner_gate

try:
    if owner_gate.require_owner():
        if "study" in st.query_params:
            from ui.studies import study_page  # the list of studies needs no figures: Plotly

            study_page.show_study(st.query_params["study"])
        elif "new" in st.query_params:
            new_study.show_new_study(st.query_params["new"])
        else:
            new_study.show_study_list()
except LiminalError as error:
    st.error(str(error))
