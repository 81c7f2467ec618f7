import streamlit as st

from core.errors import LiminalError
from ui.analysis import study_choice
from ui.markup import intro_html

st.title("How do you see it?", anchor=False)
st.html(
    intro_html("Say of thirty faces which feeling you see. Each answer is guessed before you give it.")
    + intro_html("Afterwards you see where you part from the crowd.", wide_only=True)
)

try:
    questions = st.container(key="you-asked")  # first what there is to do, then with whom one is compared
    crowd = st.expander("The crowd you are compared with", expanded=not study_choice.opens_learnable())
    with crowd:
        chosen = study_choice.choose_study(learnable=True)
    if chosen is not None:
        from ui.alignment import you_page  # once the choice of a study is painted: SciPy, Plotly

        with questions:
            you_page.show_you(chosen)
except LiminalError as error:
    st.error(str(error))
