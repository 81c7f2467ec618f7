"""The page 'Identity samples': choices, all samples of a base and one beside it, an interpolation strip, and all recognisers'
verdicts.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.figures.theme import format_percent
from core.models import registry
from core.sampling.configuration import Strategy
from core.sampling.events import BasesFound, SamplesMade
from core.sampling.stored.directions import load_directions
from core.sampling.stored.population import measure_acceptance
from ui import cache, components, markup, photo, progress, state
from ui.identity import sets
from ui.identity.sets import IdentityRequest
from ui.jobs import Job, find_or_start_job
from ui.pictures import asset_url
from ui.state import IdentityState
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    import pandas as pd

    from core.sampling.interpolation import InterpolationStrip
    from core.sampling.sample_set import SampleSet


STRATEGIES: dict[Strategy, str] = {
    "gradient": "Through the networks' own gradients: fast",
    "cmaes": "By trial and selection, as in the paper: slow",
}
COLUMNS = 7  # the base and its six small steps; or the way to another person (4) and the search back (3)


def choose_view() -> IdentityState:
    """Widgets for the models and the seed, and the view that the address asks for."""
    with st.container(key="models"), st.popover("Change the models", type="tertiary", icon=":material/tune:"):
        generator, recogniser = state.choose_models()
        wanted: Strategy = st.radio(
            "How faces are optimized",
            list(STRATEGIES),
            captions=list(STRATEGIES.values()),
            key="strategy",
            bind="query-params",
        )
        blunt = state.find_model_without_gradient(generator, recogniser)
        strategy: Strategy = "cmaes" if blunt else wanted
        if blunt and wanted != strategy:
            st.html(
                markup.caption_html(
                    html.escape(f"{registry.find_entry(blunt).title} has no gradient, so trial and selection it is.")
                )
            )
        rounds = st.slider("Rounds of a search, at most", 5, 200, 50, step=5, key="rounds", bind="query-params")
        looks = st.toggle("Also change single looks, such as a smile", key="looks", bind="query-params")
        if looks and not state.has_semantic_directions(generator):
            looks = False
            title = registry.find_entry(generator).title
            st.html(
                markup.caption_html(html.escape(f"Where {title} keeps a smile is not known, so that single looks are left out."))
            )
    return IdentityState(
        base=st.query_params.get("base"),
        seed=state.read_integer("seed", 0, 2**31 - 1),
        sample=st.query_params.get("sample"),
        generator=generator,
        recogniser=recogniser,
        strategy=strategy,
        rounds=rounds,
        looks=looks,
    )


def choose_request(view: IdentityState) -> IdentityRequest | None:
    """The base, large, beside the gallery and the button that starts; None until samples are asked for."""
    gallery = cache.cached_gallery(view.generator)
    base = next((each for each in gallery.bases if each.base_id == view.base), gallery.bases[0])
    base_id, seed, own = base.base_id, view.seed, None
    with st.container(key="owner"):
        portrait, ways = st.columns([4, 9], gap="large")
        with ways:
            way = photo.choose_face_source("identity_way")
            if way == photo.GALLERY:
                components.show_gallery(gallery, base.base_id, on_pick=_select_base)
                _show_make_button(view.seed, base.base_id)
            else:
                _clear_address()
                own = photo.upload_face(way, view.generator, view.recogniser)
                base_id, seed = photo.PHOTO_BASE, None if own is None else own.seed
                if own is not None:
                    _show_make_button(own.seed, photo.PHOTO_BASE)
        with portrait:
            if way == photo.GALLERY:
                caption = f"The base: {base.title}"
                st.html(markup.portrait_html(asset_url(base.image), f"The base, a generated face: {base.title}", caption))
            else:
                st.html(photo.face_portrait_html())
    if own is not None:
        photo.show_likeness(own)
    if seed is None:
        return None
    return IdentityRequest(view.generator, view.recogniser, view.strategy, base_id, seed, view.rounds, view.looks, own)


def _show_make_button(seed: int | None, base_id: str) -> None:
    """The seed, and the button that starts."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
        label = "Seed: another number, other people"
        wanted = st.number_input(label, 0, 2**31 - 1, seed or 0, step=1, key="seed_wanted", width=220)
        st.button("Make 28 samples", type="primary", key="make-samples", on_click=_request_samples, args=(base_id, wanted))


def _clear_address() -> None:
    """A link brings back generated bases alone; with a photo, none must seem to."""
    for name in ("base", "seed", "sample"):
        st.query_params.pop(name, None)


def _select_base(base_id: str) -> None:
    st.query_params["base"] = base_id
    st.query_params.pop("seed", None)
    st.query_params.pop("sample", None)


def _request_samples(base_id: str, seed: int) -> None:
    own = photo.current_face()
    if own is not None:
        own.seed, own.sample = seed, None
        st.session_state.pop("set_job", None)
        return
    st.query_params["base"] = base_id
    st.query_params["seed"] = str(seed)
    st.query_params.pop("sample", None)
    st.session_state.pop("set_job", None)


def find_or_make_set(recipe: IdentityRequest) -> SampleSet | None:
    """The recipe's set; while it is being made, its progress is shown instead and None comes back."""
    made: SampleSet | None = sets.find_result(recipe)
    if made is not None:
        return made
    job = find_or_start_job("set_job", recipe, "identity samples", sets.make_set_job(recipe))
    if job.status == "done" and job.result is not None:  # others have pushed it out of what is kept for all
        mine: SampleSet = job.result
        return mine
    if job.finished:
        progress.show_outcome(job)
        return None
    _watch_set(recipe, job.id)
    return None


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_set(recipe: IdentityRequest, job_id: str) -> None:
    job = progress.poll_job(job_id)
    _show_unfinished_set(recipe, job)


def _show_unfinished_set(recipe: IdentityRequest, job: Job) -> None:
    """What there is already: the samples that need no search, and the search as it goes."""
    events = list(job.events if recipe.own is None else recipe.own.events)
    limit = cache.cached_thresholds(recipe.generator, recipe.recogniser).default
    configuration = recipe.configuration()
    marks = [components.ThresholdMark(target, f"{target:g}") for target in configuration.targets]
    if any(not isinstance(event, BasesFound | SamplesMade) for event in events):
        st.subheader("Searching back to the base, from three other people", anchor=False)
        rounds = configuration.iterations
        progress.show_searches(events, limit=limit, iterations=rounds, targets=marks, key="set-search", address=recipe.address)
    made = [sample for event in events if isinstance(event, SamplesMade) for sample in event.samples]
    if made:
        tiles = []
        for index, sample in enumerate(made):
            title = markup.describe_sample_type(sample.sample_type, sample.step)
            tiles.append(components.Tile(f"live-{index}", recipe.address(sample.image), f"Generated face, {title}", title=title))
        st.subheader("Made so far", anchor=False)
        components.show_faces(
            [components.FaceGroup(tiles, columns=COLUMNS)], key="live", on_pick=lambda _: None, layout="rows", tile="9.5rem"
        )


def offer_set_download(recipe: IdentityRequest, made: SampleSet) -> None:
    """The whole set as a zip archive (tables, latents, pictures, and what made them), or as a study; of a photo, neither."""
    if recipe.own is not None:
        st.html(
            markup.caption_html("Made from your photo: these faces are not saved, and cannot be downloaded or shown to others.")
        )
        return
    name = f"liminal-{recipe.base_id}-{recipe.seed}"
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download this set",
            lambda: made.to_zip(name),
            f"{name}.zip",
            "application/zip",
            key="download",
            icon=":material/download:",
            on_click="ignore",
        )
        title = cache.cached_gallery(recipe.generator).base(recipe.base_id).title
        ask_people(made, f"Around {title}, seed {recipe.seed}")


SAMPLE_EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")


def _sample_title(recipe: IdentityRequest, pair: pd.Series[Any]) -> str:
    if pair["sample_type"] == "semantic":
        return _describe_direction(pair["direction"])
    if pair["sample_type"] == "optimized" and not pair[f"distance_{recipe.recogniser}"] < pair["step"]:
        return "the best the search found"  # the target was not reached
    return markup.describe_sample_type(pair["sample_type"], pair["step"])


def _describe_direction(label: str) -> str:
    """'smile+' -> what that looks like."""
    for direction in load_directions():
        if direction.name == label[:-1]:
            return direction.forward if label.endswith("+") else direction.back
    return label


def _sample_tile(recipe: IdentityRequest, made: SampleSet, pair: pd.Series[Any]) -> components.Tile:
    verdicts = {name: _recorded_verdict(pair, name) for name in made.configuration.judges}
    lead = verdicts[recipe.recogniser]
    unlike = [registry.find_entry(name).title for name, verdict in verdicts.items() if verdict not in (lead, "none")]
    note = f"{' and '.join(unlike)} disagree{'s' if len(unlike) == 1 else ''}" if unlike and lead != "none" else ""
    title = _sample_title(recipe, pair)
    return components.Tile(
        id=pair["pair_id"],
        src=recipe.address(made.images[pair["sample_id"]]),
        alt=f"Generated face, {title}: {markup.VERDICTS[lead]}",
        title=title,
        words=markup.VERDICTS[lead],
        note=note,
        verdict=lead,
    )


def _recorded_verdict(pair: pd.Series[Any], recogniser: str) -> components.Verdict:
    accepted = pair[f"accepted_{recogniser}"]
    if accepted is None or (accepted is not True and accepted is not False and not isinstance(accepted, np.bool_)):
        return "none"
    return "open" if accepted else "closed"


def show_samples(recipe: IdentityRequest, made: SampleSet, selected: str | None) -> None:
    """All 28 in four rows: small steps away; and for each of three other people the way there and the search back."""
    pairs = made.pairs
    near = pairs[pairs["sample_type"].isin(["genuine", "positive"])]
    groups = [
        components.FaceGroup(
            [_sample_tile(recipe, made, pair) for _, pair in near.iterrows()],
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
        guard = registry.find_entry(recipe.recogniser).title
        groups.append(
            components.FaceGroup(
                [_sample_tile(recipe, made, pair) for _, pair in row],
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
            components.FaceGroup(
                [_sample_tile(recipe, made, pair) for _, pair in looks.iterrows()],
                title="The same person, one look changed",
                note="Directions found by measuring many generated faces.",
                columns=COLUMNS,
            )
        )
    components.show_faces(groups, key="samples", on_pick=_select_sample, selected=selected, layout="rows", tile="9.5rem")


def _select_sample(pair_id: str) -> None:
    own = photo.current_face()
    if own is not None:  # no link contains anything made from a photo
        own.sample = pair_id
    else:
        st.query_params["sample"] = pair_id


def _clear_sample() -> None:
    own = photo.current_face()
    if own is not None:
        own.sample = None
    st.query_params.pop("sample", None)


def open_selected_sample(recipe: IdentityRequest, made: SampleSet, selected: str | None) -> None:
    """The sample of the address, large beside its base; nothing where the set has none of that name."""
    found = made.pairs[(made.pairs["pair_id"] == selected) | (made.pairs["sample_id"] == selected)]
    if len(found):
        _show_sample_dialog(recipe, made, found.iloc[0])


@st.dialog("One sample beside its base", width="large", on_dismiss=_clear_sample)
def _show_sample_dialog(recipe: IdentityRequest, made: SampleSet, pair: pd.Series[Any]) -> None:
    title = _sample_title(recipe, pair)
    faces, facts = st.columns([6, 5], gap="large")
    with faces:
        st.html(
            markup.pair_html(
                (recipe.address(made.images[pair["base_id"]]), "The base"),
                (recipe.address(made.images[pair["sample_id"]]), title.capitalize()),
            )
        )
        limits = {name: cache.cached_thresholds(recipe.generator, name) for name in made.configuration.judges}
        st.html(
            markup.verdicts_html(
                [
                    markup.RecogniserVerdict(registry.find_entry(name).title, float(pair[f"distance_{name}"]), limit.default)
                    for name, limit in limits.items()
                ]
            )
        )
        scale = math.sqrt(len(made.latents[pair["sample_id"]]))
        st.html(
            markup.caption_html(
                f"How different the pictures look (LPIPS): {pair['lpips']:.2f}; 0 is the same picture. "
                f"How far apart they are inside the generator: {pair['latent_distance'] / scale:.2f}; two random people are about "
                "1.4 apart."
            )
        )
    with facts:
        row = made.samples.set_index("sample_id").loc[pair["sample_id"]]
        st.subheader("Which feeling do networks see?", anchor=False)
        for name in made.configuration.classifiers:
            st.caption(registry.find_entry(name).title)
            st.html(markup.bars_html({emotion: float(row[f"p_{name}_{emotion}"]) for emotion in SAMPLE_EMOTIONS}))
        st.html(
            markup.caption_html(
                "Shares of six feelings; 'neutral' is left out. Networks disagree a lot, and none of them sees what is felt."
            )
        )
    if recipe.own is None:
        st.html(markup.caption_html("The address of this page brings this sample back."))
    else:
        st.html(markup.caption_html("Made from your photo: it has no address, and it is gone when the photo is."))


def show_interpolation_strip(recipe: IdentityRequest) -> None:
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
    walk: InterpolationStrip | None = sets.find_result(recipe, partner)
    if walk is None:
        # walks to other people go on: whoever comes back to them finds them
        job = find_or_start_job("walk_job", (recipe, partner), "walk", sets.make_strip_job(recipe, partner), replaces=False)
        if not job.finished:
            progress.watch_job(job.id)
            return
        walk = job.result  # others may have pushed it out of what is kept for all
        if walk is None:
            progress.show_outcome(job)
            return
    components.show_strip(
        [recipe.address_of(frame) for frame in walk.frames],
        [components.FrameDistances(scores.title, scores.distances, scores.threshold) for scores in walk.judgements],
        key="walk",
        start="the base",
        end=f"person {partner}",
        playable=False,
    )
    st.html(
        markup.caption_html(
            f"{len(walk.frames)} pictures in equal steps through the generator; each was judged by every recogniser. "
            "Drag the handle, or focus it and use the arrow keys.",
            centre=True,
        )
    )


def show_verdicts(recipe: IdentityRequest, made: SampleSet) -> None:
    """Every recogniser on every type of sample, side by side, and whether optimized faces fool the others too."""
    names = [recipe.recogniser, *(name for name in made.configuration.judges if name != recipe.recogniser)]
    limits = {name: cache.cached_thresholds(recipe.generator, name).default for name in names}
    kinds = {
        "positive": "Small steps",
        "interpolation": "On the way to another person",
        "negative": "Other people",
        "optimized": "Optimized",
    }
    head = "".join(f"<th>{registry.find_entry(name).title}</th>" for name in names)
    body = ""
    counts = {}
    for kind, title in kinds.items():
        rows = made.pairs[made.pairs["sample_type"] == kind]
        cells = ""
        for name in names:
            share = measure_acceptance(rows[f"distance_{name}"].to_numpy(float), limits[name])
            counts[kind, name] = share
            lost = f", {share.no_face} without a face" if share.no_face else ""
            cells += (
                f"<td><b>{share.accepted} of {share.judged}</b> would unlock"
                f"<small>{format_percent(share.low)} to {format_percent(share.high)}{lost}</small></td>"
            )
        body += f"<tr><th>{title}</th>{cells}</tr>"
    st.header("Does what fools one recogniser fool the others?", anchor=False)
    for other in names[1:]:
        mine, its = counts["optimized", names[0]], counts["optimized", other]
        st.html(
            markup.intro_html(
                f"The faces were optimized against {registry.find_entry(names[0]).title}, which accepts {mine.accepted} of "
                f"{mine.judged}. {registry.find_entry(other).title} never saw the search and accepts {its.accepted} of {its.judged}."
            )
        )
    st.html(f'<table class="verdicts"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>')
    st.html(
        markup.caption_html(
            f"This base and seed alone; small print: 95 % Wilson interval. Each recogniser at its own limit as delivered "
            f"({', '.join(f'{registry.find_entry(name).title} {limit:.2f}' for name, limit in limits.items())})."
        )
    )
