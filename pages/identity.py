import streamlit as st

from core.errors import LiminalError
from ui import state
from ui.identity import controversial, page, two_owners
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
    request = page.choose_request(view)
    page.mention_running_set(request)
    sample_set = page.find_or_make_set(request) if request is not None else None
    if request is not None and sample_set is not None:
        selected = view.sample if request.visitor_photo is None else request.visitor_photo.sample
        limits = page.choose_limits(request, page.list_judges(request, sample_set))
        page.show_samples(request, sample_set, limits, selected)
        page.offer_set_download(request, sample_set)
        st.space("medium")
        page.show_interpolation_strip(request, limits)
        if request.visitor_photo is None:
            st.space("medium")
            two_owners.show_morph_rates(request)
        st.space("medium")
        page.show_verdicts(request, sample_set, limits)
        page.open_selected_sample(request, sample_set, limits, selected)
    if request is None or request.visitor_photo is None:
        st.space("medium")
        controversial.show_controversial(view)
except LiminalError as error:
    st.error(str(error))
