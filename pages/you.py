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
    study_choice.prefer_emotion_study()
    questions = st.container(key="you-asked")  # first what there is to do, then with whom one is compared
    expanded = not study_choice.is_emotion_study()
    with st.expander("The crowd you are compared with", expanded=expanded, icon=":material/groups:"):
        chosen = study_choice.choose_study()
    if chosen is not None:
        from ui.alignment import you_page  # once the choice of a study is painted: SciPy, Plotly

        with questions:
            you_page.show_you(chosen)
except LiminalError as error:
    st.error(str(error))
