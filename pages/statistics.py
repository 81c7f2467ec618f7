import streamlit as st

from core.errors import LiminalError
from ui.analysis import material, report_button, statistics

statistics.intro()
try:
    chosen = material.choose()
    if chosen is not None:
        report_button.show(chosen)
        statistics.show(chosen)
except LiminalError as error:
    st.error(str(error))
