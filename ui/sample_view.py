"""All samples of a base in one view, and one of them large beside its base."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.models import registry
from core.sampling.directions import load_directions
from ui import caches, components, own_face, words
from ui.identity import COLUMNS
from ui.sets import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from core.sampling.sample_set import SampleSet

EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")


def _title(recipe: Recipe, pair: pd.Series[Any]) -> str:
    if pair["sample_type"] == "semantic":
        return _look(pair["direction"])
    if pair["sample_type"] == "optimized" and not pair[f"distance_{recipe.recogniser}"] < pair["step"]:
        return "the best the search found"  # the target was not reached
    return words.sample_title(pair["sample_type"], pair["step"])


def _look(label: str) -> str:
    """'smile+' -> what that looks like."""
    for direction in load_directions():
        if direction.name == label[:-1]:
            return direction.forward if label.endswith("+") else direction.back
    return label


def _tile(recipe: Recipe, made: SampleSet, pair: pd.Series[Any]) -> components.Tile:
    verdicts = {name: _verdict(pair, name) for name in made.configuration.judges}
    lead = verdicts[recipe.recogniser]
    unlike = [registry.entry(name).title for name, verdict in verdicts.items() if verdict not in (lead, "none")]
    note = f"{' and '.join(unlike)} disagree{'s' if len(unlike) == 1 else ''}" if unlike and lead != "none" else ""
    title = _title(recipe, pair)
    return components.Tile(
        id=pair["pair_id"],
        src=recipe.address(made.images[pair["sample_id"]]),
        alt=f"Generated face, {title}: {words.VERDICTS[lead]}",
        title=title,
        words=words.VERDICTS[lead],
        note=note,
        verdict=lead,
    )


def _verdict(pair: pd.Series[Any], recogniser: str) -> components.Verdict:
    accepted = pair[f"accepted_{recogniser}"]
    if accepted is None or (accepted is not True and accepted is not False and not isinstance(accepted, np.bool_)):
        return "none"
    return "open" if accepted else "closed"


def show_samples(recipe: Recipe, made: SampleSet, selected: str | None) -> None:
    """All 28 in four rows: small steps away; and for each of three other people the way there and the search back."""
    pairs = made.pairs
    near = pairs[pairs["sample_type"].isin(["genuine", "positive"])]
    groups = [
        components.Group(
            [_tile(recipe, made, pair) for _, pair in near.iterrows()],
            title="The base, and small steps away from it",
            note="Two random directions, three lengths each. On this scale two random people are about 1.4 apart.",
            columns=COLUMNS,
        )
    ]
    partners = list(dict.fromkeys(pairs["partner_id"].dropna()))
    for number, partner in enumerate(partners, start=1):
        mine = pairs[pairs["partner_id"] == partner]
        row = [
            *mine[mine["sample_type"] == "interpolation"].sort_values("step").iterrows(),
            *mine[mine["sample_type"] == "negative"].iterrows(),
            *mine[mine["sample_type"] == "optimized"].sort_values("step", ascending=False).iterrows(),
        ]
        guard = registry.entry(recipe.recogniser).title
        groups.append(
            components.Group(
                [_tile(recipe, made, pair) for _, pair in row],
                title=f"Person {number}: the way there, and a search back",
                note=f"From the base to another person; then that person, changed until {guard} takes them for the base."
                if number == 1
                else "",
                columns=COLUMNS,
            )
        )
    looks = pairs[pairs["sample_type"] == "semantic"]
    if len(looks):
        groups.append(
            components.Group(
                [_tile(recipe, made, pair) for _, pair in looks.iterrows()],
                title="The same person, one look changed",
                note="Directions found by measuring many generated faces.",
                columns=COLUMNS,
            )
        )
    components.faces(groups, key="samples", on_pick=_pick_sample, selected=selected, layout="rows", tile="9.5rem")


def _pick_sample(pair_id: str) -> None:
    own = own_face.current()
    if own is not None:  # no link contains anything made from a photo
        own.sample = pair_id
    else:
        st.query_params["sample"] = pair_id


def _forget_sample() -> None:
    own = own_face.current()
    if own is not None:
        own.sample = None
    st.query_params.pop("sample", None)


def open_sample(recipe: Recipe, made: SampleSet, selected: str | None) -> None:
    """The sample of the address, large beside its base; nothing where the set has none of that name."""
    found = made.pairs[(made.pairs["pair_id"] == selected) | (made.pairs["sample_id"] == selected)]
    if len(found):
        _sample_dialog(recipe, made, found.iloc[0])


@st.dialog("One sample beside its base", width="large", on_dismiss=_forget_sample)
def _sample_dialog(recipe: Recipe, made: SampleSet, pair: pd.Series[Any]) -> None:
    title = _title(recipe, pair)
    faces, facts = st.columns([6, 5], gap="large")
    with faces:
        st.html(
            words.pair(
                (recipe.address(made.images[pair["base_id"]]), "The base"),
                (recipe.address(made.images[pair["sample_id"]]), title.capitalize()),
            )
        )
        limits = {name: caches.stored_thresholds(recipe.generator, name) for name in made.configuration.judges}
        st.html(
            words.opinions(
                [
                    words.Opinion(registry.entry(name).title, float(pair[f"distance_{name}"]), limit.default)
                    for name, limit in limits.items()
                ]
            )
        )
        scale = math.sqrt(len(made.latents[pair["sample_id"]]))
        st.html(
            words.fine(
                f"How different the pictures look (LPIPS): {pair['lpips']:.2f}; 0 is the same picture. "
                f"How far apart they are inside the generator: {pair['latent_distance'] / scale:.2f}; two random people are about "
                "1.4 apart."
            )
        )
    with facts:
        row = made.samples.set_index("sample_id").loc[pair["sample_id"]]
        st.subheader("Which feeling do networks see?", anchor=False)
        for name in made.configuration.classifiers:
            st.caption(registry.entry(name).title)
            st.html(words.bars({emotion: float(row[f"p_{name}_{emotion}"]) for emotion in EMOTIONS}))
        st.html(
            words.fine(
                "Shares of six feelings; 'neutral' is left out. Networks disagree a lot, and none of them sees what is felt."
            )
        )
    if recipe.own is None:
        st.html(words.fine("The address of this page brings this sample back."))
    else:
        st.html(words.fine("Made from your photo: it has no address, and it is gone when the photo is."))
