"""One face large beside its base, and what every network says of it."""

from __future__ import annotations

import streamlit as st

from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import Opinion
from ui import caches, emotion_words, words
from ui.emotion_runs import Face, Run
from ui.images import face_url


def pick(sample_id: str) -> None:
    """Open a face: its name goes to the address."""
    st.query_params["sample"] = sample_id


def _forget() -> None:
    st.query_params.pop("sample", None)


def open_face(run: Run, configuration: EmotionConfiguration, selected: str | None) -> None:
    """The face of the address; nothing where the run has none of that name."""
    face = next((each for each in run.faces if each.made.sample_id == selected), None)
    if face is not None:
        _dialog(run, configuration, face)


@st.dialog("One face beside its base", width="large", on_dismiss=_forget)
def _dialog(run: Run, configuration: EmotionConfiguration, face: Face) -> None:
    made, steerer, judge = face.made, configuration.steerer, configuration.bystander
    said = {name: emotion_words.verdict(made, configuration, name) for name in configuration.classifiers}
    limit = caches.stored_thresholds(configuration.generator, configuration.recogniser).default
    pictures, facts = st.columns([6, 5], gap="large", vertical_alignment="center")
    with pictures:
        st.html(words.pair((face_url(run.base.image), "The base"), (face_url(made.image), said[steerer].capitalize())))
    with facts:
        st.subheader("Kept" if made.passed[steerer] else "Filtered out", anchor=False)
        st.html(
            words.lead(
                f"{said[steerer].capitalize()}, says {emotion_words.named(steerer, configuration)}. "
                f"{emotion_words.same_person(made.distance, limit, configuration.recogniser)}."
            )
        )
        st.html(
            words.fine(
                f"A face is kept when its activations (logits) for both feelings are above the 75th percentile of plain faces. "
                f"{registry.entry(judge).title} took no part in making this face. 'Neutral' is left out of all shares; networks "
                "disagree a lot, and none of them sees what is felt."
            )
        )
        raw = st.toggle(
            "Shares as the networks give them", help="Off: calibrated, so that networks can be compared.", key="raw-shares"
        )
    for column, name in zip(st.columns(len(configuration.classifiers), gap="medium"), configuration.classifiers, strict=True):
        with column:
            st.html(
                f'<p class="voice"><b>{registry.entry(name).title}</b><small>{configuration.part(name)}</small>'
                f"{said[name]}</p>" + words.bars(_shares(made.opinions[name], raw=raw))
            )
    st.html(words.fine("The address of this page brings this face back."))


def _shares(opinion: Opinion, *, raw: bool) -> dict[str, float]:
    return dict(zip(EMOTIONS, opinion.raw if raw else opinion.calibrated, strict=True))
