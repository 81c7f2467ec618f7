import streamlit as st

from core.errors import LiminalError
from ui.analysis import compare

try:
    compare.show_compare()
except LiminalError as error:
    st.error(str(error))
