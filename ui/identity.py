"""The parts of the page 'Identity samples'."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import streamlit as st

from core.models import registry
from core.sampling.configuration import Strategy
from core.sampling.events import BasesFound, SamplesMade
from ui import caches, components, progress, sets, state, words
from ui.images import asset_url, face_url, picture_url
from ui.jobs import Job, manager
from ui.sets import Recipe
from ui.state import IdentityState

if TYPE_CHECKING:
    import pandas as pd

    from core.sampling.sample_set import SampleSet

STRATEGIES: dict[Strategy, str] = {"gradient": "Gradient: fast", "cmaes": "CMA-ES: as in the paper"}
COLUMNS = 7  # the base and its six small steps; or the way to another person (4) and the search back (3)
EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")


def choose() -> IdentityState:
    """Widgets for the models and the seed, and the view that the address asks for."""
    with st.popover("Change the models", type="tertiary", icon=":material/tune:"):
        generator, recogniser = state.model_choices()
        strategy: Strategy = st.radio(
            "How faces are optimized",
            get_args(Strategy)[::-1],
            format_func=STRATEGIES.__getitem__,
            key="strategy",
            bind="query-params",
        )
        rounds = st.slider("Rounds of a search, at most", 5, 200, 100, step=5, key="rounds", bind="query-params")
    return IdentityState(
        base=st.query_params.get("base"),
        seed=state.read_whole("seed", 0, 2**31 - 1),
        sample=st.query_params.get("sample"),
        generator=generator,
        recogniser=recogniser,
        strategy=strategy,
        rounds=rounds,
    )


def choose_base(view: IdentityState) -> Recipe | None:
    """The base, large, beside the gallery and the button that starts; None until samples are asked for."""
    gallery = caches.stored_gallery(view.generator)
    base = next((each for each in gallery.bases if each.base_id == view.base), gallery.bases[0])
    with st.container(key="owner"):
        portrait, ways = st.columns([4, 9], gap="large")
        with ways:
            components.gallery(gallery, base.base_id, on_pick=_pick_base)
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
                seed = st.number_input(
                    "Seed of everything that is drawn", 0, 2**31 - 1, view.seed or 0, step=1, key="seed_wanted", width=220
                )
                st.button("Make 28 samples", type="primary", key="make-samples", on_click=_make, args=(base.base_id, seed))
        with portrait:
            st.html(words.portrait(asset_url(base.image), f"The base, a generated face: {base.title}", f"The base: {base.title}"))
    if view.seed is None:
        return None
    return Recipe(view.generator, view.recogniser, view.strategy, base.base_id, view.seed, view.rounds)


def _pick_base(base_id: str) -> None:
    st.query_params["base"] = base_id
    st.query_params.pop("seed", None)
    st.query_params.pop("sample", None)


def _make(base_id: str, seed: int) -> None:
    st.query_params["base"] = base_id
    st.query_params["seed"] = str(seed)
    st.query_params.pop("sample", None)
    st.session_state.pop("set_job", None)


def made_set(recipe: Recipe) -> SampleSet | None:
    """The recipe's set; while it is being made, its progress is shown instead and None comes back."""
    made: SampleSet | None = sets.kept_sets().get(recipe)
    if made is not None:
        return made
    kept: tuple[Recipe, str] | None = st.session_state.get("set_job")
    job = manager().get(kept[1]) if kept is not None and kept[0] == recipe else None
    if job is None:
        if kept is not None and (old := manager().get(kept[1])) is not None:
            old.stop()  # another base was chosen
        job = manager().submit("identity samples", sets.maker(recipe))
        st.session_state["set_job"] = (recipe, job.id)
    if job.finished:
        progress.outcome(job)
        return None
    _watch(recipe, job.id)
    return None


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch(recipe: Recipe, job_id: str) -> None:
    job = manager().get(job_id)
    if job is None or job.finished:
        st.rerun()
    progress.bar(job)
    _show_unfinished(recipe, job)


def _show_unfinished(recipe: Recipe, job: Job) -> None:
    """What there is already: the samples that need no search, and the search as it goes."""
    events = list(job.events)
    limit = caches.stored_thresholds(recipe.generator, recipe.recogniser).default
    configuration = recipe.configuration()
    marks = [components.Mark(target, f"{target:g}") for target in configuration.targets]
    if any(not isinstance(event, BasesFound | SamplesMade) for event in events):
        st.subheader("Searching back to the base, from three other people", anchor=False)
        progress.searches(events, limit=limit, iterations=configuration.iterations, targets=marks, key="set-search")
    made = [sample for event in events if isinstance(event, SamplesMade) for sample in event.samples]
    if made:
        tiles = [
            components.Tile(f"live-{index}", face_url(sample.image), f"{sample.sample_type} sample", title=sample.sample_type)
            for index, sample in enumerate(made)
        ]
        st.subheader("Made so far", anchor=False)
        components.faces(
            [components.Group(tiles, columns=COLUMNS)], key="live", on_pick=lambda _: None, layout="rows", tile="9.5rem"
        )


def _title(pair: pd.Series[Any]) -> str:
    match pair["sample_type"]:
        case "genuine":
            return "the base itself"
        case "positive":
            return f"a step of {pair['step']:g}"
        case "negative":
            return "another person"
        case "interpolation":
            return f"{100 * pair['step']:.0f} % of the way"
        case "optimized":
            return f"optimized to {pair['step']:g}"
        case other:
            return str(other)


def _tile(recipe: Recipe, made: SampleSet, pair: pd.Series[Any]) -> components.Tile:
    verdicts = {name: _verdict(pair, name) for name in made.configuration.judges}
    lead = verdicts[recipe.recogniser]
    unlike = [registry.entry(name).title for name, verdict in verdicts.items() if verdict not in (lead, "none")]
    note = f"{' and '.join(unlike)} disagree{'s' if len(unlike) == 1 else ''}" if unlike and lead != "none" else ""
    title = _title(pair)
    return components.Tile(
        id=pair["pair_id"],
        src=face_url(made.images[pair["sample_id"]]),
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
    near = pairs[pairs["sample_type"].isin(["genuine", "positive", "semantic"])]
    groups = [
        components.Group(
            [_tile(recipe, made, pair) for _, pair in near.iterrows()],
            title="The base, and small steps away from it",
            note="Two random directions, three lengths each. A length of 1 would be a typical distance between two people.",
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
    components.faces(groups, key="samples", on_pick=_pick_sample, selected=selected, layout="rows", tile="9.5rem")


def _pick_sample(pair_id: str) -> None:
    st.query_params["sample"] = pair_id


def _forget_sample() -> None:
    st.query_params.pop("sample", None)


def open_sample(recipe: Recipe, made: SampleSet, selected: str | None) -> None:
    """The sample of the address, large beside its base; nothing where the set has none of that name."""
    found = made.pairs[(made.pairs["pair_id"] == selected) | (made.pairs["sample_id"] == selected)]
    if len(found):
        _sample_dialog(recipe, made, found.iloc[0])


@st.dialog("One sample beside its base", width="large", on_dismiss=_forget_sample)
def _sample_dialog(recipe: Recipe, made: SampleSet, pair: pd.Series[Any]) -> None:
    title = _title(pair)
    faces, facts = st.columns([6, 5], gap="large")
    with faces:
        st.html(
            words.pair(
                (face_url(made.images[pair["base_id"]]), "The base"), (face_url(made.images[pair["sample_id"]]), title.capitalize())
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
    st.html(words.fine("The address of this page brings this sample back."))


def show_verdicts(recipe: Recipe, made: SampleSet) -> None:
    """Every recogniser on every type of sample, side by side, and whether optimized faces fool the others too."""
    from core.sampling.strangers import acceptance

    names = [recipe.recogniser, *(name for name in made.configuration.judges if name != recipe.recogniser)]
    limits = {name: caches.stored_thresholds(recipe.generator, name).default for name in names}
    kinds = {
        "positive": "Small steps",
        "interpolation": "On the way to another person",
        "negative": "Other people",
        "optimized": "Optimized",
    }
    head = "".join(f"<th>{registry.entry(name).title}</th>" for name in names)
    body = ""
    counts = {}
    for kind, title in kinds.items():
        rows = made.pairs[made.pairs["sample_type"] == kind]
        cells = ""
        for name in names:
            share = acceptance(rows[f"distance_{name}"].to_numpy(float), limits[name])
            counts[kind, name] = share
            lost = f", {share.no_face} without a face" if share.no_face else ""
            cells += (
                f"<td><b>{share.accepted} of {share.judged}</b> would unlock"
                f"<small>{words.percent(share.low)} to {words.percent(share.high)}{lost}</small></td>"
            )
        body += f"<tr><th>{title}</th>{cells}</tr>"
    st.header("Does what fools one recogniser fool the others?", anchor=False)
    for other in names[1:]:
        mine, its = counts["optimized", names[0]], counts["optimized", other]
        st.html(
            words.lead(
                f"The faces were optimized against {registry.entry(names[0]).title}, which accepts {mine.accepted} of "
                f"{mine.judged}. {registry.entry(other).title} never saw the search and accepts {its.accepted} of {its.judged}."
            )
        )
    st.html(f'<table class="verdicts"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>')
    st.html(
        words.fine(
            f"This base and seed alone; small print: 95 % Wilson interval. Each recogniser at its own limit as delivered "
            f"({', '.join(f'{registry.entry(name).title} {limit:.2f}' for name, limit in limits.items())})."
        )
    )


def show_walk(recipe: Recipe) -> None:
    """A slider from the base to one of the other people; each picture on it was made and judged."""
    st.header("Walk from the base to another person", anchor=False)
    people = recipe.configuration().bases_per_batch - 1
    partner = st.segmented_control(
        "To whom?",
        list(range(1, people + 1)),
        format_func=lambda number: f"Person {number}",
        default=1,
        required=True,
        key="partner",
    )
    walk: sets.JudgedWalk | None = sets.kept_walks().get((recipe, partner))
    if walk is not None:
        components.walk(
            [picture_url(frame) for frame in walk.frames],
            walk.opinions,
            key="walk",
            start="the base",
            end=f"person {partner}",
            playable=False,
        )
        st.html(
            words.fine(
                f"{len(walk.frames)} pictures in equal steps through the generator; each was judged by every recogniser. "
                "Drag the handle, or focus it and use the arrow keys.",
                centre=True,
            )
        )
        return
    kept: tuple[Recipe, int, str] | None = st.session_state.get("walk_job")
    job = manager().get(kept[2]) if kept is not None and kept[:2] == (recipe, partner) else None
    if job is None:
        job = manager().submit("walk", sets.walker(recipe, partner))
        st.session_state["walk_job"] = (recipe, partner, job.id)
    if job.finished:
        progress.outcome(job)
        return
    _watch_walk(job.id)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_walk(job_id: str) -> None:
    job = manager().get(job_id)
    if job is None or job.finished:
        st.rerun()
    progress.bar(job)


def download(recipe: Recipe, made: SampleSet) -> None:
    """The whole set as a zip archive: tables, latents, pictures, and what made them."""
    name = f"liminal-{recipe.base_id}-{recipe.seed}"
    st.download_button(
        "Download this set",
        lambda: made.to_zip(name),
        f"{name}.zip",
        "application/zip",
        key="download",
        icon=":material/download:",
        on_click="ignore",
    )
