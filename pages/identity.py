import streamlit as st

from core.errors import LiminalError
from ui import state
from ui.identity import page
from ui.markup import intro_html

st.title("Between one person and another", anchor=False)
st.html(
    intro_html(
        "Twenty-eight faces around a base: small steps away from it, the way to three other people, and faces found by a search "
        "that wants to be taken for the base. Which of them would unlock its phone?"
    )
)

try:
    state.warn_missing_models(generator="generator", recogniser="recogniser")
    view = page.choose_view()
    recipe = page.choose_request(view)
    made = page.find_or_make_set(recipe) if recipe is not None else None
    if recipe is not None and made is not None:
        looked_at = view.sample if recipe.own is None else recipe.own.sample
        page.show_samples(recipe, made, looked_at)
        page.offer_set_download(recipe, made)
        st.space("medium")
        page.show_interpolation_strip(recipe)
        st.space("medium")
        page.show_verdicts(recipe, made)
        page.open_selected_sample(recipe, made, looked_at)
except LiminalError as error:
    st.error(str(error))
