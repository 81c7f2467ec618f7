import streamlit as st

from core.errors import LiminalError
from ui import identity, model_choice, sample_view, verdict_view, walk_view
from ui.words import lead

st.title("Between one person and another", anchor=False)
st.html(
    lead(
        "Twenty-eight faces around a base: small steps away from it, the way to three other people, and faces found by a search "
        "that wants to be taken for the base. Which of them would unlock its phone?"
    )
)

try:
    model_choice.tell_gone(generator="generator", recogniser="recogniser")
    view = identity.choose()
    recipe = identity.choose_base(view)
    made = identity.made_set(recipe) if recipe is not None else None
    if recipe is not None and made is not None:
        looked_at = view.sample if recipe.own is None else recipe.own.sample
        sample_view.show_samples(recipe, made, looked_at)
        identity.download(recipe, made)
        st.space("medium")
        walk_view.show_walk(recipe)
        st.space("medium")
        verdict_view.show_verdicts(recipe, made)
        sample_view.open_sample(recipe, made, looked_at)
except LiminalError as error:
    st.error(str(error))
