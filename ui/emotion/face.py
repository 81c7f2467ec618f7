"""One face between two feelings: its state in a word, what changed in it against its base, and the dialog that a press opens.

The same for a face of a run and for one of the grid of two feelings: both are judged faces with their latents.
"""

from __future__ import annotations

import html
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.analysis.emotion_tables import MIN_SHARE_EACH
from core.figures.theme import format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.events import BoundarySampleMade, ClassifierScores
from core.sampling.stored.directions import ActionChange, list_action_changes
from ui import bases, cache, components, markup, navigation
from ui.components import FaceChange, Tile
from ui.emotion import runs
from ui.pictures import face_url

CHANGES_OF_A_TILE = 3
CHANGES_OF_A_DIALOG = 10
NEIGHBOURS = 4


@dataclass(frozen=True)
class FaceSet:
    """Faces of one configuration that are looked at together, and the base that all of them come from."""

    configuration: EmotionConfiguration
    base_picture: NDArray[np.uint8]
    base_latent: NDArray[np.float32]  # (d,)
    faces: Sequence[BoundarySampleMade]


def name_state(sample: BoundarySampleMade, configuration: EmotionConfiguration, classifier: str = "") -> str:
    """The state of a face in one word, as a network sees it: 'either', or the feeling that is strongest.

    classifier: the one that steered where none is named.
    """
    opinion = sample.opinions[classifier or configuration.steerer]
    if min(runs.map_position(opinion, configuration)) >= MIN_SHARE_EACH:
        return "either"
    return runs.strongest_emotion(opinion)


def list_changes(
    latent: NDArray[np.float32] | None, base: NDArray[np.float32], configuration: EmotionConfiguration
) -> tuple[ActionChange, ...]:
    """What the face does beside the base, the largest change first; empty where the generator's latents have no names."""
    return () if latent is None else list_action_changes(configuration.generator, base, latent)


def list_tile_changes(changes: Sequence[ActionChange]) -> list[FaceChange]:
    """The largest changes, for a tile."""
    return [FaceChange(row.words, round(row.difference, 2)) for row in changes[:CHANGES_OF_A_TILE]]


def describe_changes(changes: Sequence[ActionChange]) -> str:
    """'mouth open +0.6, cheeks raised +0.3'."""
    return ", ".join(f"{row.words} {format_change(row.difference)}" for row in changes[:CHANGES_OF_A_TILE])


def format_change(change: float) -> str:
    """'+0.6', '−0.3'."""
    return f"{'+' if change >= 0 else '−'}{abs(change):.1f}"


LOWEST, HIGHEST = -0.6, 2.2
"""Ends of the bars: strengths of actions seldom lie beyond."""


def _place(strength: float) -> float:
    return 100 * min(1.0, max(0.0, (strength - LOWEST) / (HIGHEST - LOWEST)))


def actions_html(changes: Sequence[ActionChange], clear: Mapping[str, Mapping[str, float]]) -> str:
    """Actions as bars from the base's strength to the face's, as HTML.

    clear: feeling -> action -> its strength where the same person shows that feeling alone and fully; a mark each.
    """
    rows = ""
    for row in changes[:CHANGES_OF_A_DIALOG]:
        low, high = sorted((_place(row.before), _place(row.after)))
        marks, spoken = "", f"{row.words}: {row.before:.1f} in the base, {row.after:.1f} here"
        for side, (feeling, strengths) in enumerate(clear.items()):
            marks += f'<u data-side="{side}" style="left:{_place(strengths[row.words]):.1f}%"></u>'
            spoken += f", {strengths[row.words]:.1f} in clear {feeling}"
        rows += (
            f'<div title="{html.escape(spoken)}"><span>{html.escape(row.words)}</span>'
            f'<i role="img" aria-label="{html.escape(spoken)}"><s style="left:{low:.1f}%;width:{high - low:.1f}%"></s>'
            f'<b style="left:{_place(row.before):.1f}%"></b>{marks}</i><span>{format_change(row.difference)}</span></div>'
        )
    ends = "".join(f'<u data-side="{side}"></u>clear {html.escape(feeling)}' for side, feeling in enumerate(clear))
    return f'<div class="actions">{rows}<p><b></b>the base<s></s>to this face{ends}</p></div>' if rows else ""


def _list_clear_actions(configuration: EmotionConfiguration, base: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """Feeling -> action -> its strength where the base's person shows that feeling alone and fully."""
    generator, rest = configuration.generator, bases.show_feeling(configuration.generator, base, None)
    result = {}
    for feeling in (configuration.emotion1, configuration.emotion2):
        changes = list_action_changes(generator, rest, bases.show_feeling(generator, base, feeling))
        result[feeling] = defaultdict(float, {row.words: row.after for row in changes})
    return dict(result)


def select_face(sample_id: str) -> None:
    """Open a face: write its id to the address."""
    st.query_params["sample"] = sample_id


def _clear_face() -> None:
    st.query_params.pop("sample", None)


def open_selected_face(faces: FaceSet, selected: str | None) -> bool:
    """The selected face beside its base -> whether the set has one of that id."""
    face = next((face for face in faces.faces if face.sample_id == selected), None)
    if face is not None:
        _show_face_dialog(faces, face)
    return face is not None


@st.dialog("One face beside its base", width="large", on_dismiss=_clear_face)
def _show_face_dialog(faces: FaceSet, sample: BoundarySampleMade) -> None:
    if st.query_params.get("sample") not in (None, sample.sample_id):
        st.rerun()  # a neighbour was pressed
    configuration = faces.configuration
    verdicts = {name: runs.describe_verdict(sample, configuration, name) for name in configuration.classifiers}
    picture, facts = st.columns([6, 6], gap="large")
    with picture:
        _show_large_picture(faces, sample)
    with facts:
        _show_facts(sample, configuration, faces.base_latent, verdicts[configuration.steerer])
    _show_opinions(sample, configuration, verdicts)
    _show_neighbours(faces, sample)
    _show_ways_on(configuration, sample)


def _show_large_picture(faces: FaceSet, sample: BoundarySampleMade) -> None:
    configuration = faces.configuration
    large = sample.image
    if sample.latent is not None:
        large = bases.draw_face(configuration.generator, sample.latent, large=True)
    state = name_state(sample, configuration)
    feelings = f"{configuration.emotion1} and {configuration.emotion2}"
    st.html(markup.portrait_html(face_url(large), f"Generated face between {feelings}: {state}", ""))
    st.html(
        f'<div class="beside"><img src="{face_url(faces.base_picture)}" alt="The base, a generated face"><p>The base that it was '
        "made from.</p></div>"
    )


def _show_facts(
    sample: BoundarySampleMade, configuration: EmotionConfiguration, base_latent: NDArray[np.float32], verdict: str
) -> None:
    changes = list_changes(sample.latent, base_latent, configuration)
    st.subheader(name_state(sample, configuration).capitalize(), anchor=False)
    sentence = f"{verdict}, says {runs.name_classifier(configuration.steerer, configuration)}."
    if configuration.guided:
        sentence = f"{'Kept' if sample.passed[configuration.steerer] else 'Filtered out'}: {sentence}"
    st.html(markup.intro_html(sentence[0].upper() + sentence[1:]))
    if changes:
        words = describe_changes(changes)
        note = f"Above all: {words}. 1 is a strong action." if words else "Nothing that can be seen."
        bars = actions_html(changes, _list_clear_actions(configuration, base_latent))
        st.html(f'<p class="voice"><b>What changed against the base</b></p>{bars}{markup.caption_html(note)}')
    limit = cache.cached_thresholds(configuration.generator, configuration.recogniser).opening
    st.html(markup.caption_html(f"{runs.describe_similarity(sample.distance, limit, configuration.recogniser)}."))


def _show_opinions(sample: BoundarySampleMade, configuration: EmotionConfiguration, verdicts: dict[str, str]) -> None:
    held_out = configuration.held_out_classifier
    opinion = sample.opinions[held_out]
    strongest = runs.strongest_emotion(opinion)
    st.html(
        markup.intro_html(
            f"{registry.find_entry(held_out).title} {'never steered' if configuration.guided else 'never steers'}. It sees "
            f"{strongest} most ({format_percent(opinion.calibrated[EMOTIONS.index(strongest)])}): {verdicts[held_out]}."
        )
    )
    raw = st.toggle("Shares as the networks give them", help="Off: calibrated, so that networks can be compared.", key="raw-shares")
    for column, name in zip(st.columns(len(configuration.classifiers), gap="medium"), configuration.classifiers, strict=True):
        role = f"<small>{configuration.describe_role(name) if configuration.guided else 'nobody steered'}</small>"
        with column:
            st.html(
                f'<p class="voice"><b>{registry.find_entry(name).title}</b>{role}'
                f"{verdicts[name]}</p>" + markup.bars_html(_list_shares(sample.opinions[name], raw=raw))
            )
    st.html(
        markup.caption_html(
            "A face is kept when the activations (logits) of both feelings are above the 75th percentile of plain faces. 'Neutral' "
            "is left out of all shares; networks disagree a lot, and none of them sees what is felt."
        )
    )


def _list_shares(opinion: ClassifierScores, *, raw: bool) -> dict[str, float]:
    return dict(zip(EMOTIONS, opinion.raw if raw else opinion.calibrated, strict=True))


def find_neighbours(faces: FaceSet, sample: BoundarySampleMade, count: int = NEIGHBOURS) -> list[BoundarySampleMade]:
    """The faces of a set that are most like one of them: by what the face does where that is known, else by the latents."""

    def measure(face: BoundarySampleMade) -> tuple[float, float]:
        assert sample.latent is not None
        assert face.latent is not None
        changes = list_changes(face.latent, sample.latent, faces.configuration)
        apart = float(np.linalg.norm(face.latent - sample.latent))
        return math.hypot(*(row.difference for row in changes)), apart

    others = [face for face in faces.faces if face.sample_id != sample.sample_id and face.latent is not None]
    return sorted(others, key=measure)[:count]


def _show_neighbours(faces: FaceSet, sample: BoundarySampleMade) -> None:
    near = find_neighbours(faces, sample) if sample.latent is not None else []
    if not near:
        return
    configuration = faces.configuration
    tiles = [
        Tile(
            face.sample_id,
            face_url(face.image),
            f"Generated face: {name_state(face, configuration)}",
            words=name_state(face, configuration),
            verdict="open" if face.passed[configuration.steerer] else "closed",
        )
        for face in near
    ]
    st.html('<p class="voice"><b>Most like it in this set</b></p>')
    group = components.FaceGroup(tiles, columns=NEIGHBOURS)
    components.show_faces([group], key="neighbours", on_pick=select_face, layout="rows", tile="7.5rem")


def _show_ways_on(configuration: EmotionConfiguration, sample: BoundarySampleMade) -> None:
    if sample.latent is None or configuration.base is None:
        return
    generator = configuration.generator
    name = bases.name_made_face(generator, configuration.base, sample.latent)
    with st.container(horizontal=True, gap="medium"):
        st.page_link(
            navigation.build_page(navigation.MORPH),
            label="Morph from this face",
            icon=":material/swap_horiz:",
            query_params={"base": name, "pair": f"{configuration.emotion1}-{configuration.emotion2}", "generator": generator},
        )
        if generator in registry.list_generators("identity", generator):
            st.page_link(
                navigation.build_page(navigation.IDENTITY),
                label="Identity samples around it",
                icon=":material/fingerprint:",
                query_params={"base": name, "generator": generator},
            )
    st.html(markup.caption_html("The address of this page brings this face back."))
