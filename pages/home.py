import streamlit as st

from core.errors import LiminalError
from core.models import registry
from ui import cache, components, home, navigation
from ui.markup import caption_html, intro_html
from ui.pictures import asset_url

words, picture = st.columns(2, gap="large", vertical_alignment="center")
with words:
    st.title("When does a face stop being yours?", anchor=False)
    st.html(
        intro_html(
            "A phone opens when the face in front of it is near enough to its owner’s. Here the owner turns, little by little, "
            "into somebody else. Somewhere on the way the phone changes its mind."
        )
        + intro_html("Liminal finds the faces on that line and shows you who is waved through.", wide_only=True)
    )
    with st.container(key="begin"):
        st.page_link(navigation.build_page(navigation.PHONE), label="Try it: who gets in?", icon=":material/arrow_forward:")
with picture:
    try:
        strip = cache.cached_strip()
        components.show_strip(
            [asset_url(frame) for frame in strip.frames],
            [components.FrameDistances(scores.title, scores.distances, scores.threshold) for scores in strip.judgements],
            key="walk",
            start="the owner",
            end="a stranger",
            phone=True,
        )
        recognisers = " and ".join(scores.title for scores in strip.judgements)
        st.html(
            caption_html(
                f"Both people are generated; nobody real is shown. {recognisers} measured each of the {len(strip.frames)} pictures "
                f"against the first. Source: {registry.find_entry(strip.generator).title}, made on {strip.date}.",
                centre=True,
            )
        )
    except LiminalError as error:
        st.info(str(error))

st.space("medium")
home.show_page_cards((*navigation.MAIN_PAGES[1:], navigation.MODELS))
