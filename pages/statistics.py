import streamlit as st

from core.errors import LiminalError
from ui.analysis import statistics, study_choice

statistics.show_intro()
try:
    chosen = study_choice.choose_study()
    if chosen is not None:
        statistics.show_report_button(chosen)
        statistics.show_statistics(chosen)
except LiminalError as error:
    st.error(str(error))
