import streamlit as st

from core.errors import LiminalError
from core.models import registry
from ui import caches, components
from ui.images import asset_url
from ui.words import fine

left, right = st.columns([6, 6], gap="large", vertical_alignment="center")
with left:
    st.title("When does a face stop being yours?", anchor=False)
    st.html(
        '<p class="lead">A phone opens when the face in front of it is near enough to its owner’s. '
        "Here the owner turns, little by little, into somebody else. Somewhere on the way the phone changes its mind.</p>"
        '<p class="lead" style="margin-top:.9rem">Liminal finds the faces on that line and shows you who is waved through.</p>'
    )
with right:
    try:
        walk = caches.stored_walk()
        components.walk(
            [asset_url(frame) for frame in walk.frames],
            [components.Opinion(judgement.title, judgement.distances, judgement.threshold) for judgement in walk.judgements],
            key="walk",
            start="the owner",
            end="a stranger",
            phone=True,
        )
        st.html(
            fine(
                f"Both people are generated; nobody real is shown. {walk.judgements[0].title} measured each of the "
                f"{len(walk.frames)} pictures against the first. Seeds {walk.start_seed} and {walk.end_seed} of "
                f"{registry.entry(walk.generator).title}, made on {walk.date}.",
                centre=True,
            )
        )
    except LiminalError as error:
        st.info(str(error))
