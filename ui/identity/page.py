"""The page 'Identity samples': choices, all samples of a base, one of them beside it, an interpolation strip, and what all
recognisers say.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.figures.theme import format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.configuration import IdentityConfiguration, StepsMove, Strategy
from core.sampling.events import BasesFound, SamplesMade
from core.sampling.stored.directions import describe_semantic, has_directions
from core.sampling.stored.population import measure_acceptance
from ui import bases, cache, components, markup, photo, progress, state
from ui.identity import sets, two_owners
from ui.identity.sets import IdentityRequest
from ui.jobs import Job, find_or_start_job, find_running_job
from ui.markup import count_noun
from ui.selection import bound_choice
from ui.state import IdentityState
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    import pandas as pd

    from core.sampling.interpolation import InterpolationStrip
    from core.sampling.sample_set import SampleSet


STRATEGIES: dict[Strategy, str] = {
    "surrogate": "By predicting what the recogniser will say, checked on every picture: fastest",
    "gradient": "Through the networks' own gradients: fast",
    "cmaes": "By trial and selection, as in the paper: slow",
}
ROUNDS: dict[Strategy, int] = {"surrogate": 20, "gradient": 50, "cmaes": 50}
"""Rounds of a search at most, unless the visitor chooses: one that predicts has most of its gain after ten."""

COLUMNS = 7  # the base and its six small steps; or the way to another person (4) and the search back (3)


DELIVERED = "delivered"


@dataclass(frozen=True)
class Limits:
    """Below which distance each recogniser takes two faces for one person. words: what the choice is called."""

    words: str
    distances: Mapping[str, float]


def choose_limits(request: IdentityRequest, recognisers: Sequence[str]) -> Limits:
    """A widget for the limit that all verdicts of the page follow; at first the one that the phone's page opens at.

    recognisers: the guard first. One that was not calibrated on this generator's faces keeps its limit as delivered, which the
    page says.
    """
    known = {name: cache.cached_thresholds(request.configuration.generator, name) for name in recognisers}
    guard = known[recognisers[0]]
    rates = {f"1-in-{round(1 / limit.rate)}": limit.rate for limit in guard.calibrated}
    titles = {name: f"lets {markup.format_one_in(rate)} in" for name, rate in rates.items()} | {DELIVERED: "as delivered"}
    usual = next((name for name, rate in rates.items() if guard.at(rate).distance == guard.opening), DELIVERED)
    name = bound_choice("How strict is the phone?", list(titles), "limit", titles=titles, default=usual)
    distances, uncalibrated = {}, []
    for recogniser, thresholds in known.items():
        distance = next((limit.distance for limit in thresholds.calibrated if limit.rate == rates.get(name)), None)
        if distance is None and name != DELIVERED:
            uncalibrated.append(registry.find_entry(recogniser).title)
        distances[recogniser] = round(thresholds.default if distance is None else distance, 3)
    numbers = ", ".join(f"{registry.find_entry(each).title} {markup.format_limit(limit)}" for each, limit in distances.items())
    if name == DELIVERED:
        shares = [
            f"{registry.find_entry(each).title} then lets {format_percent(thresholds.default_acceptance.share)} of them in"
            for each, thresholds in known.items()
            if math.isfinite(thresholds.default_acceptance.share)  # NaN where it has not judged this generator's strangers yet
        ]
        said = f"As delivered, which was set for photographs, not for generated strangers: {numbers}."
        said += f" {'; '.join(shares)}." if shares else ""
    else:
        said = f"The limit at which {markup.format_one_in(rates[name])} generated strangers gets in, on average: {numbers}."
        said += f" Not calibrated, so as delivered: {', '.join(uncalibrated)}." if uncalibrated else ""
    st.html(markup.caption_html(said))
    words = "as delivered" if name == DELIVERED else f"at which {markup.format_one_in(rates[name])} strangers gets in"
    return Limits(words, distances)


def choose_view() -> IdentityState:
    """Widgets for the models and the search, and the view that the address asks for."""
    with st.container(key="models"), st.popover("Change the models", type="tertiary", icon=":material/tune:"):
        generator, recogniser = state.choose_models("identity")
        offered = state.list_strategies(generator, recogniser)
        chosen: Strategy = st.radio(
            "How faces are optimized",
            offered,
            captions=[STRATEGIES[strategy] for strategy in offered],
            key="strategy",
            bind="query-params",
        )
        model = state.find_model_without_gradient(generator, recogniser) if "gradient" in offered else None
        strategy: Strategy = "cmaes" if model else chosen
        if model and chosen != strategy:
            title = registry.find_entry(model).title
            st.html(markup.caption_html(html.escape(f"{title} has no gradient, so trial and selection it is.")))
        rounds = st.slider("Rounds of a search, at most", 5, 200, ROUNDS[strategy], step=5, key="rounds", bind="query-params")
        semantic = st.toggle("Also change single looks, such as a smile", key="looks", bind="query-params")
        if semantic and not has_directions(generator):
            semantic = False
            title = registry.find_entry(generator).title
            st.html(
                markup.caption_html(html.escape(f"Where {title} keeps a smile is not known, so that single looks are left out."))
            )
        steps_move = _choose_moved_block(generator)
    seed = state.read_integer("seed", 0, 2**31 - 1)
    return IdentityState(
        base=st.query_params.get("base") if photo.current_photo() else state.read_base(generator),
        wanted=seed is not None,
        sample=st.query_params.get("sample"),
        configuration=IdentityConfiguration(
            seed=seed or 0,
            generator=generator,
            recogniser=recogniser,
            strategy=strategy,
            iterations=rounds,
            semantic=semantic,
            steps_move=steps_move,
        ),
    )


def _choose_moved_block(generator: str) -> StepsMove:
    """What steps and ways to another person move; everything where the generator does not know who is who."""
    if not registry.find_entry(generator).changes:
        return "everything"
    words: dict[StepsMove, str] = {"everything": "everything, as in the paper", "person": "the person alone"}
    chosen = st.segmented_control(
        "What steps move",
        list(words),
        format_func=words.__getitem__,
        default="everything",
        required=True,
        key="move",
        bind="query-params",
        help="Everything: light, turn and expression change with the person. The person alone: these stay as in the base.",
    )
    return chosen or "everything"


def choose_request(view: IdentityState) -> IdentityRequest | None:
    """The base, large, beside the gallery and the button that starts; None until samples are asked for."""
    configuration = view.configuration
    gallery = cache.cached_gallery(configuration.generator)
    base = bases.find_base(configuration.generator, view.base)
    request = IdentityRequest(base.base_id, configuration) if view.wanted else None
    with st.container(key="owner"):
        portrait, choices = st.columns([4, 9], gap="large")
        with choices:
            source = photo.choose_face_source("Whose face is the base?", key="identity_way")
            if source == photo.GALLERY:
                components.show_gallery(gallery, base.base_id, on_pick=_select_base)
                _show_make_button(configuration.seed, base.base_id)
            else:
                _clear_address()
                request = _choose_photo_request(source, configuration)
        with portrait:
            if source == photo.GALLERY:
                caption = f"The base: {base.title}"
                source_url = bases.base_url(configuration.generator, base)
                st.html(markup.portrait_html(source_url, f"The base, a generated face: {base.title}", caption))
            else:
                st.html(photo.photo_portrait_html())
    visitor_photo = photo.current_photo()
    if visitor_photo is not None and visitor_photo.inversion is not None:
        photo.show_likeness(visitor_photo)
    return request


def _choose_photo_request(source: str, configuration: IdentityConfiguration) -> IdentityRequest | None:
    """The upload, then the search for the nearest generated face, then the button that starts; None until samples are asked for."""
    visitor_photo = photo.upload_photo(source, "own-", configuration.generator, configuration.recogniser)
    if visitor_photo is None or not photo.find_generated_face(visitor_photo):
        return None
    _show_make_button(visitor_photo.seed or 0, photo.PHOTO_BASE)
    if visitor_photo.seed is None:
        return None
    return IdentityRequest(photo.PHOTO_BASE, replace(configuration, seed=visitor_photo.seed), visitor_photo)


def _show_make_button(seed: int, base_id: str) -> None:
    """The seed, and the button that starts."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
        label = "Seed: another number, other people"
        wanted = st.number_input(label, 0, 2**31 - 1, seed, step=1, key="seed_wanted", width=220)
        st.button("Make 28 samples", type="primary", key="make-samples", on_click=_request_samples, args=(base_id, wanted))


def _clear_address() -> None:
    """Drop base, seed and sample from the address: nothing made of a photo has a link."""
    for name in ("base", "seed", "sample"):
        st.query_params.pop(name, None)


def _select_base(base_id: str) -> None:
    st.query_params["base"] = base_id
    st.query_params.pop("seed", None)
    st.query_params.pop("sample", None)


def _request_samples(base_id: str, seed: int) -> None:
    if find_running_job(photo.SET_JOB) is None:
        st.session_state.pop(photo.SET_JOB, None)  # one that was stopped starts anew
    visitor_photo = photo.current_photo()
    if visitor_photo is not None:
        visitor_photo.seed, visitor_photo.sample = seed, None
        return
    st.query_params["base"] = base_id
    st.query_params["seed"] = str(seed)
    st.query_params.pop("sample", None)


def _name_base(request: IdentityRequest) -> str:
    if request.visitor_photo is not None:
        return "your photo"
    return bases.find_base(request.configuration.generator, request.base_id).title


def mention_running_set(request: IdentityRequest | None) -> None:
    """Where samples that were asked for are still being made and others are on the page, say so, with ways to them and to stop."""
    running = find_running_job(photo.SET_JOB)
    if running is not None and request is None and running[0].visitor_photo is None:
        with st.container(key="running-set"):
            st.html(markup.caption_html(f"Still being made: the samples around {_name_base(running[0])}."))
            st.button("Show them", key="show-running", on_click=_show_request, args=(running[0],))
            progress.watch_job(running[1].id)


def _show_request(request: IdentityRequest) -> None:
    st.query_params["base"] = request.base_id
    st.query_params["seed"] = str(request.configuration.seed)


def find_or_make_set(request: IdentityRequest) -> SampleSet | None:
    """The set of a request; while it is being made, its progress is shown instead and None comes back."""
    cached: SampleSet | None = sets.find_result(request)
    if cached is not None:
        return cached
    job = find_or_start_job(photo.SET_JOB, request, f"the samples around {_name_base(request)}", sets.make_set_job(request))
    if job.status == "done" and job.result is not None:  # newer results have pushed it out of the cache
        result: SampleSet = job.result
        return result
    if job.finished:
        progress.show_outcome(job)
        return None
    _watch_set(request, job.id)
    return None


LIVE_SET = "live-set"


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_set(request: IdentityRequest, job_id: str) -> None:
    with st.container(key=LIVE_SET):
        job = progress.poll_job(job_id)
        _show_unfinished_set(request, job)


def _show_unfinished_set(request: IdentityRequest, job: Job) -> None:
    """The samples that need no search, as they come, and the search as it goes."""
    visitor_photo, configuration = request.visitor_photo, request.configuration
    events = list(job.events if visitor_photo is None else visitor_photo.events.get((request.without_photo(), None), []))
    limit = cache.cached_thresholds(configuration.generator, configuration.recogniser).opening
    marks = [components.ThresholdMark(target, f"{target:g}") for target in configuration.targets]
    if any(not isinstance(event, BasesFound | SamplesMade) for event in events):
        st.subheader("Searching back to the base, from three other people", anchor=False)
        rounds = configuration.iterations
        progress.show_searches(events, limit=limit, iterations=rounds, targets=marks, key="set-search", address=request.address)
    samples = [sample for event in events if isinstance(event, SamplesMade) for sample in event.samples]
    if samples:
        tiles = []
        for index, sample in enumerate(samples):
            title = markup.describe_sample_type(sample.sample_type, sample.step)
            tiles.append(components.Tile(f"live-{index}", request.address(sample.image), f"Generated face, {title}", title=title))
        st.subheader("Made so far", anchor=False)
        components.show_faces(
            [components.FaceGroup(tiles, columns=COLUMNS)],
            key="live",
            on_pick=lambda _: None,
            layout="rows",
            tile="9.5rem",
            follow=LIVE_SET,
        )


def describe_counts(sample_set: SampleSet) -> str:
    """Why there are fewer pictures than samples, where there are; else how many there are."""
    samples, pictures = len(sample_set.pairs), sample_set.pairs["sample_id"].nunique()
    if pictures == samples:
        return f"{samples} samples, each a picture of its own; the first is the base itself."
    return (
        f"{samples} samples, {count_noun(pictures, 'picture')}: one that is two samples, such as a face that a search found for "
        "two distances at once, is counted once among pictures."
    )


def list_judges(request: IdentityRequest, sample_set: SampleSet) -> list[str]:
    """The recognisers that judged a set, the guard first."""
    guard = request.configuration.recogniser
    return [guard, *(name for name in sample_set.configuration.judges if name != guard)]


def offer_set_download(request: IdentityRequest, sample_set: SampleSet) -> None:
    """The whole set as a zip archive (tables, latents, pictures, provenance), or as a study; of a photo, neither."""
    if request.visitor_photo is not None:
        st.html(
            markup.caption_html("Made from your photo: these faces are not saved, and cannot be downloaded or shown to others.")
        )
        return
    configuration = request.configuration
    st.html(markup.caption_html(describe_counts(sample_set)))
    name = f"liminal-{bases.short_name(request.base_id)}-{configuration.seed}"
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download this set",
            lambda: sample_set.to_zip(name),
            f"{name}.zip",
            "application/zip",
            key="download",
            icon=":material/download:",
            on_click="ignore",
        )
        title = _name_base(request)
        ask_people(sample_set, f"Around {title}, seed {configuration.seed}")


def _sample_title(request: IdentityRequest, sample_set: SampleSet, pair: pd.Series[Any]) -> str:
    if pair["sample_type"] == "semantic":
        base, latent = (sample_set.latents[pair[column]] for column in ("base_id", "sample_id"))
        return describe_semantic(pair["direction"], request.configuration.generator, base, latent)
    return markup.describe_sample_type(pair["sample_type"], pair["step"], pair[f"distance_{request.configuration.recogniser}"])


def _sample_tile(request: IdentityRequest, sample_set: SampleSet, pair: pd.Series[Any], limits: Limits) -> components.Tile:
    verdicts = {name: markup.judge_distance(float(pair[f"distance_{name}"]), limit) for name, limit in limits.distances.items()}
    guard = verdicts[request.configuration.recogniser]
    others = [registry.find_entry(name).title for name, verdict in verdicts.items() if verdict not in (guard, "none")]
    note = f"{' and '.join(others)} disagree{'s' if len(others) == 1 else ''}" if others and guard != "none" else ""
    title = _sample_title(request, sample_set, pair)
    return components.Tile(
        id=pair["pair_id"],
        src=request.address(sample_set.images[pair["sample_id"]]),
        alt=f"Generated face, {title}: {markup.VERDICTS[guard]}",
        title=title,
        words=markup.VERDICTS[guard],
        note=note,
        verdict=guard,
    )


def show_samples(request: IdentityRequest, sample_set: SampleSet, limits: Limits, selected: str | None) -> None:
    """All 28 in four rows: small steps away; and for each of three other people the way there and the search back."""
    pairs = sample_set.pairs
    near = pairs[pairs["sample_type"].isin(["genuine", "positive"])]
    groups = [
        components.FaceGroup(
            [_sample_tile(request, sample_set, pair, limits) for _, pair in near.iterrows()],
            title="The base, and small steps away from it",
            note="Two random directions, three lengths each. On this scale two random people are about 1.4 apart.",
            columns=COLUMNS,
        )
    ]
    partners = list(dict.fromkeys(pairs["partner_id"].dropna()))
    for number, partner in enumerate(partners, start=1):
        to_partner = pairs[pairs["partner_id"] == partner]
        row = [
            *to_partner[to_partner["sample_type"] == "interpolation"].sort_values("step").iterrows(),
            *to_partner[to_partner["sample_type"] == "negative"].iterrows(),
            *to_partner[to_partner["sample_type"] == "optimized"].sort_values("step", ascending=False).iterrows(),
        ]
        guard = registry.find_entry(request.configuration.recogniser).title
        *more, last = [f"{target:g}" for target in sorted(request.configuration.targets, reverse=True)]
        reached = f"{', '.join(more)} and {last}" if more else last
        groups.append(
            components.FaceGroup(
                [_sample_tile(request, sample_set, pair, limits) for _, pair in row],
                title=f"Person {number}: the way there, and a search back",
                note=f"From the base to another person; then that person, changed until {guard} finds them nearer than {reached} "
                "to the base."
                if number == 1
                else "",
                columns=COLUMNS,
            )
        )
    semantic = pairs[pairs["sample_type"] == "semantic"]
    if len(semantic):
        groups.append(
            components.FaceGroup(
                [_sample_tile(request, sample_set, pair, limits) for _, pair in semantic.iterrows()],
                title="The same person, one look changed",
                note="One named value of the generator changed and nothing else."
                if registry.find_entry(request.configuration.generator).changes
                else "Directions found by measuring many generated faces.",
                columns=COLUMNS,
            )
        )
    components.show_faces(groups, key="samples", on_pick=_select_sample, selected=selected, layout="rows", tile="9.5rem")


def _select_sample(pair_id: str) -> None:
    visitor_photo = photo.current_photo()
    if visitor_photo is not None:  # nothing made of a photo has a link
        visitor_photo.sample = pair_id
    else:
        st.query_params["sample"] = pair_id


def _clear_sample() -> None:
    visitor_photo = photo.current_photo()
    if visitor_photo is not None:
        visitor_photo.sample = None
    st.query_params.pop("sample", None)


def open_selected_sample(request: IdentityRequest, sample_set: SampleSet, limits: Limits, selected: str | None) -> None:
    """The selected sample, large beside its base; nothing where the set has none of that id."""
    rows = sample_set.pairs[(sample_set.pairs["pair_id"] == selected) | (sample_set.pairs["sample_id"] == selected)]
    if len(rows):
        _show_sample_dialog(request, sample_set, limits, rows.iloc[0])


@st.dialog("One sample beside its base", width="large", on_dismiss=_clear_sample)
def _show_sample_dialog(request: IdentityRequest, sample_set: SampleSet, limits: Limits, pair: pd.Series[Any]) -> None:
    title = _sample_title(request, sample_set, pair)
    faces, facts = st.columns([6, 5], gap="large")
    with faces:
        st.html(
            markup.pair_html(
                (request.address(sample_set.images[pair["base_id"]]), "The base"),
                (request.address(sample_set.images[pair["sample_id"]]), title.capitalize()),
            )
        )
        st.html(
            markup.verdicts_html(
                [
                    markup.RecogniserVerdict(registry.find_entry(name).title, float(pair[f"distance_{name}"]), limit)
                    for name, limit in limits.distances.items()
                ]
            )
            + markup.caption_html(f"Limits {limits.words}.")
        )
        scale = math.sqrt(len(sample_set.latents[pair["sample_id"]]))
        st.html(
            markup.caption_html(
                f"How different the pictures look (LPIPS): {pair['lpips']:.2f}; 0 is the same picture. "
                f"How far apart they are inside the generator: {pair['latent_distance'] / scale:.2f}; two random people are about "
                "1.4 apart."
            )
        )
    with facts:
        row = sample_set.samples.set_index("sample_id").loc[pair["sample_id"]]
        st.subheader("Which feeling do networks see?", anchor=False)
        for name in sample_set.configuration.classifiers:
            st.caption(registry.find_entry(name).title)
            st.html(markup.bars_html({emotion: float(row[f"p_{name}_{emotion}"]) for emotion in EMOTIONS}))
        st.html(
            markup.caption_html(
                "Shares of six feelings; 'neutral' is left out. Networks disagree a lot, and none of them sees what is felt."
            )
        )
    if request.visitor_photo is None:
        st.html(markup.caption_html("The address of this page brings this sample back."))
    else:
        st.html(markup.caption_html("Made from your photo: it has no address, and it is gone when the photo is."))


def show_interpolation_strip(request: IdentityRequest, limits: Limits) -> None:
    """A slider from the base to one of the other people; each picture on it was made and judged."""
    st.header("Walk from the base to another person", anchor=False)
    people = request.configuration.bases_per_batch - 1
    partner = st.segmented_control(
        "To whom?",
        list(range(1, people + 1)),
        format_func=lambda number: f"Person {number}",
        default=1,
        required=True,
        key="partner",
    )
    strip: InterpolationStrip | None = sets.find_result(request, partner)
    if strip is None:
        # strips to other people go on: a visitor who comes back to one finds it
        job = find_or_start_job(
            photo.STRIP_JOB, (request, partner), "the way to another person", sets.make_strip_job(request, partner), replaces=False
        )
        if not job.finished:
            progress.watch_job(job.id)
            return
        strip = job.result  # newer results may have pushed it out of the cache
        if strip is None:
            progress.show_outcome(job)
            return
    components.show_strip(
        [request.address_of(frame) for frame in strip.frames],
        [
            components.FrameDistances(scores.title, scores.distances, limits.distances.get(scores.recogniser, scores.threshold))
            for scores in strip.judgements
        ],
        key="walk",
        start="the base",
        end=f"person {partner}",
        playable=False,
    )
    st.html(
        markup.caption_html(
            f"{len(strip.frames)} pictures in equal steps through the generator; each was judged by every recogniser, with limits "
            f"{limits.words}. "
            "Drag the handle, or focus it and use the arrow keys.",
            centre=True,
        )
    )
    two_owners.show_both_phones(strip, limits.distances, limits.words, partner)


def show_verdicts(request: IdentityRequest, sample_set: SampleSet, limits: Limits) -> None:
    """Every recogniser on every type of sample, side by side, and whether optimized faces fool the others too."""
    names = list(limits.distances)
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
        rows = sample_set.pairs[sample_set.pairs["sample_type"] == kind]
        cells = ""
        for name in names:
            share = measure_acceptance(rows[f"distance_{name}"].to_numpy(float), limits.distances[name])
            counts[kind, name] = share
            faceless = f", {share.no_face} without a face" if share.no_face else ""
            cells += (
                f"<td><b>{share.accepted} of {share.judged}</b> would unlock"
                f"<small>{format_percent(share.low)} to {format_percent(share.high)}{faceless}</small></td>"
            )
        body += f"<tr><th>{title}</th>{cells}</tr>"
    st.header("Does what fools one recogniser fool the others?", anchor=False)
    for other in names[1:]:
        guard, judge = counts["optimized", names[0]], counts["optimized", other]
        st.html(
            markup.intro_html(
                f"The faces were optimized against {registry.find_entry(names[0]).title}, which accepts {guard.accepted} of "
                f"{guard.judged}. {registry.find_entry(other).title} never saw the search and accepts {judge.accepted} of "
                f"{judge.judged}."
            )
        )
    st.html(f'<table class="verdicts"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>')
    st.html(
        markup.caption_html(
            f"This base and seed alone; small print: 95 % Wilson interval. Limits {limits.words}. A set that is downloaded keeps "
            "the distances, and says who is accepted at the limits as delivered."
        )
    )
