"""One face large beside its base, and what every network says of it."""

from __future__ import annotations

import streamlit as st

from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import Opinion
from ui import caches, emotion_tiles, words
from ui.emotion_runs import Face, Run
from ui.images import face_url


def pick(sample_id: str) -> None:
    """Open a face: its name goes to the address."""
    st.query_params["sample"] = sample_id


def _forget() -> None:
    st.query_params.pop("sample", None)


def open_face(run: Run, configuration: EmotionConfiguration, selected: str | None) -> None:
    """The face of the address; nothing where the run has none of that name."""
    face = next((each for each in run.faces if each.sample_id == selected), None)
    if face is not None:
        _dialog(run, configuration, face)


@st.dialog("One face beside its base", width="large", on_dismiss=_forget)
def _dialog(run: Run, configuration: EmotionConfiguration, face: Face) -> None:
    made = face.made
    judge, steerer = emotion_tiles.bystander(configuration), configuration.steerer
    said = {name: emotion_tiles.verdict(made, configuration, name) for name in configuration.classifiers}
    pictures, facts = st.columns([6, 5], gap="large")
    with pictures:
        st.html(words.pair((face_url(run.base.image), "The base"), (face_url(made.image), said[steerer].capitalize())))
        kept = "Kept" if made.passed[steerer] else "Filtered out"
        limit = caches.stored_thresholds(configuration.generator, configuration.recogniser).default
        st.html(
            words.lead(f"{kept}: {said[steerer]}, says {registry.entry(steerer).title}, which steered.")
            + words.fine(
                f"{emotion_tiles.same_person(made.distance, limit, configuration.recogniser)}. A face is kept when its activations "
                f"(logits) for both feelings are above the 75th percentile of plain faces."
            )
        )
    with facts:
        st.subheader("Which feeling do networks see?", anchor=False)
        raw = st.toggle(
            "Shares as the networks give them", help="Off: calibrated, so that networks can be compared.", key="raw-shares"
        )
        for name in configuration.classifiers:
            part = "steered" if name == steerer else "did not steer" if name == judge else "had taught the one that steered"
            st.caption(f"**{registry.entry(name).title}**, which {part}: {said[name]}")
            st.html(words.bars(_shares(made.opinions[name], raw=raw)))
        st.html(
            words.fine(
                f"{registry.entry(judge).title} took no part in making this face. 'Neutral' is left out, networks disagree a lot, "
                "and none of them sees what is felt."
            )
        )
    st.html(words.fine("The address of this page brings this face back."))


def _shares(opinion: Opinion, *, raw: bool) -> dict[str, float]:
    return dict(zip(EMOTIONS, opinion.raw if raw else opinion.calibrated, strict=True))
