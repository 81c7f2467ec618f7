import streamlit as st

from core.errors import LiminalError
from ui import navigation
from ui.analysis import study_choice
from ui.markup import intro_html

st.title("Networks that learn from people", anchor=False)
st.html(
    intro_html(
        "A network is shown what people said of these faces, and learns. Does it then see like them, is it unsure where they are "
        "divided, and can it learn to see like one of them?"
    )
)
if st.query_params.get(navigation.FROM) == navigation.NEXT_QUESTION.url:
    st.info("The page *Next question* is gone; *You* still asks each time about the face that tells most.")

try:
    chosen = study_choice.choose_study(learnable=True)
    if chosen is not None:
        from ui.alignment import align_page  # once the choice of a study is painted: SciPy, Plotly

        align_page.show_alignment(chosen)
except LiminalError as error:
    st.error(str(error))
