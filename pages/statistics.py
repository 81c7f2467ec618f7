import streamlit as st

from core.errors import LiminalError
from ui.analysis import study_choice
from ui.markup import intro_html

st.title("What does the study say?", anchor=False)
st.html(
    intro_html(
        "Each figure says one thing, how sure it is and where it comes from; where there are published values, they stand beside "
        "ours."
    )
)

try:
    chosen = study_choice.choose_study()
    if chosen is not None:
        from ui.analysis import statistics  # once the choice of a study is painted: SciPy, Plotly

        statistics.show_report_button(chosen)
        statistics.show_statistics(chosen)
except LiminalError as error:
    st.error(str(error))
