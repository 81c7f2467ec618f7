import streamlit as st

from core.errors import LiminalError
from ui import navigation
from ui.alignment import asking
from ui.words import lead

st.title("Which face to ask about next?", anchor=False)
st.html(
    lead(
        "Some answers tell much of a person, others nothing: everybody says the same. Asking each time about the face that tells "
        "most, how many answers does it take to know somebody as well as by asking at random?"
    )
)

try:
    asking.show()
    st.page_link(navigation.page(navigation.YOU), label="Try it on yourself", icon=":material/arrow_forward:")
except LiminalError as error:
    st.error(str(error))
