import streamlit as st

from core.errors import LiminalError
from ui.alignment import runs, you_page
from ui.analysis import study_choice
from ui.markup import intro_html

st.title("How do you see it?", anchor=False)
st.html(
    intro_html("Say of thirty faces which feeling you see. Each answer is guessed before you give it.")
    + intro_html("Afterwards you see where you part from the crowd.", wide_only=True)
)

try:
    runs.prefer_emotion_study()
    asked = st.container(key="you-asked")  # first what there is to do, then with whom one is compared
    with st.expander("The crowd you are compared with", expanded=not runs.is_emotion_study(), icon=":material/groups:"):
        chosen = study_choice.choose_study()
    if chosen is not None:
        with asked:
            you_page.show_you(chosen)
except LiminalError as error:
    st.error(str(error))
