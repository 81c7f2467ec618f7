"""The page 'Who could unlock my phone': the owner beside a stranger who gets in, all strangers under a threshold, what stands out.

Scores of the stored population need NumPy alone. Only some strangers have a stored picture; the others are made again from
their seeds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.figures.theme import format_percent
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling.images import encode_webp, to_pictures
from core.sampling.stored.population import PopulationScores, Thresholds, find_threshold_range, score_population
from ui import bases, cache, components, markup, photo, progress, state
from ui.cache import SharedResultCache
from ui.jobs import find_or_start_job
from ui.markup import format_limit
from ui.phone.searches import show_impostor_search, show_lockout, verdicts_html
from ui.photo import PhoneOwner
from ui.pictures import asset_url, picture_url
from ui.state import PhoneState

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


def score_strangers(view: PhoneState, owner: PhoneOwner) -> PopulationScores:
    """Every stranger against the owner.

    Raises LiminalError where the recogniser on guard has not judged the population, or found no face in the owner.
    """
    strangers = cache.cached_population(view.generator, view.recogniser)
    owner.descriptor(view.recogniser)
    return score_population(strangers, owner.descriptors, view.recogniser)


STRANGER_JOB = "stranger_job"


@st.cache_resource(show_spinner=False)
def cached_stranger_pictures() -> SharedResultCache:
    """WebP by (generator, seed)."""
    return SharedResultCache(36)


def render_stranger(generator: str, seed: int) -> bytes:
    """WebP of one stranger as it was judged."""
    network = registry.load(generator, "generator")
    with torch.inference_mode():
        return encode_webp(to_pictures(network.decode(network.sample([seed])))[0])


def find_or_render_stranger(generator: str, seed: int) -> bytes | None:
    """The stranger's picture (WebP); while it is made, the page shows how far it is, and the result is None."""
    key = (generator, seed)
    picture: bytes | None = cached_stranger_pictures().get(key)
    if picture is not None:
        return picture

    def work(progress: Progress) -> bytes:
        progress.stage("Making the picture", 0.0)
        result: bytes = cached_stranger_pictures().get_or_compute(key, lambda: render_stranger(generator, seed), progress)
        return result

    job = find_or_start_job(f"{STRANGER_JOB}-{generator}-{seed}", key, "a stranger's picture", work)
    if not job.finished:
        progress.watch_job(job.id)
    elif job.status == "done":
        return bytes(job.result)
    else:
        progress.show_outcome(job)
    return None


def current_threshold(view: PhoneState) -> float:
    """The limit in force: the address's, else the one that the page opens at."""
    limit = cache.cached_thresholds(view.generator, view.recogniser).opening if view.threshold is None else view.threshold
    return round(limit, 3)  # as the slider has it


def stranger_verdicts_html(view: PhoneState, scores: PopulationScores, index: int) -> str:
    """The same of a stranger, the guard first."""
    distances = {name: float(scores.distances[name][index]) for name in [view.recogniser, *scores.others]}
    return verdicts_html(view.generator, view.recogniser, current_threshold(view), distances)


def stranger_url(view: PhoneState, scores: PopulationScores, index: int) -> str | None:
    """Address of a stranger's picture: the stored one, else made again; None while it is made, which the page shows."""
    for face in scores.population.wall:
        if face.index == index:
            return asset_url(face.image)
    picture = find_or_render_stranger(view.generator, int(scores.population.seeds[index]))
    return None if picture is None else picture_url(picture)


def show_findings(view: PhoneState, owner: PhoneOwner) -> None:
    """What stands out: who gets in without looking alike, what locks the owner out, and whether the other recogniser agrees."""
    scores = score_strangers(view, owner)
    limit = current_threshold(view)
    st.space("medium")
    left, right = st.columns(2, gap="large")
    with left:
        _show_least_alike(view, owner, scores, limit)
    with right:
        if owner.photo is not None:
            _show_agreement(view, scores, limit)
        else:
            show_lockout(view.generator, view.recogniser, owner, limit)
    if owner.photo is None:
        st.space("medium")
        _show_agreement(view, scores, limit)


def _show_least_alike(view: PhoneState, owner: PhoneOwner, scores: PopulationScores, limit: float) -> None:
    index = scores.find_least_alike(limit)
    nobody = index is None
    st.header("Nobody gets in; this one came nearest" if nobody else "Gets in, and looks least like the owner", anchor=False)
    stranger = scores.find_nearest() if index is None else index
    name = "The owner" if owner.photo is None else "You"
    address = stranger_url(view, scores, stranger)
    if address is None:
        return
    st.html(markup.pair_html((owner.src, name), (address, "Stranger")) + stranger_verdicts_html(view, scores, stranger))
    if scores.others and not nobody:
        other = registry.find_entry(scores.others[0]).title
        st.html(markup.caption_html(f"Of all strangers let in, {other} finds this one least like {name.lower()}."))


def _show_agreement(view: PhoneState, scores: PopulationScores, limit: float) -> None:
    inside = int(scores.accepted(limit).sum())
    for other in scores.others:
        title, guard = registry.find_entry(other).title, registry.find_entry(view.recogniser).title
        its_limit = cache.cached_thresholds(view.generator, other).opening
        both, all_in = scores.count_agreement(limit, other, its_limit)
        st.header(f"What would {title} say?", anchor=False)
        if inside == 0:
            everybody = f"{all_in:,}" if all_in else "nobody"
            sentence = f"{guard} lets nobody in. {title}, at its own limit of {format_limit(its_limit)}, would let {everybody} in."
        else:
            share = "all" if both == inside else "none" if both == 0 else f"{both:,}"
            sentence = (
                f"Of the {inside:,} strangers that {guard} lets in, {title} would let {share} in as well. At its own limit of "
                f"{format_limit(its_limit)} it lets {all_in or 'nobody'} in altogether."
            )
        st.html(markup.intro_html(sentence))


def read_phone_state(generator: str, recogniser: str) -> PhoneState:
    """The view that the address asks for."""
    return PhoneState(
        base=st.query_params.get("base"),
        generator=generator,
        recogniser=recogniser,
        threshold=state.read_number("threshold", 0.0, 2.0),
        stranger=state.read_integer("stranger", 0, 2**63 - 1),
    )


def choose_owner(view: PhoneState) -> PhoneOwner | None:
    """The owner beside a stranger whom a search finds, and the ways to choose another; None while a photo is still to come."""
    with st.container(key="owner"):
        faces, choices = st.columns([7, 5], gap="large")
        with choices:
            source = photo.choose_face_source("Whose phone is it?", key="way")
            owner = _choose_from_gallery(view) if source == photo.GALLERY else _owner_from_upload(source)
        with faces:
            if owner is None:
                st.html(f'<div class="pair two-faces">{photo.photo_portrait_html()}</div>')
            else:
                scores = score_strangers(view, owner)
                show_impostor_search(view.generator, owner, scores, current_threshold(view))
    return owner


def _choose_from_gallery(view: PhoneState) -> PhoneOwner:
    gallery = cache.cached_gallery(view.generator)
    base = state.read_base(view.generator)
    owner = photo.owner_from_gallery(view.generator, bases.short_name(base) if base else None)
    components.show_gallery(gallery, owner.identity, on_pick=_select_base)
    st.html(
        markup.caption_html(
            f"{len(gallery.bases)} generated people, chosen so that every recogniser finds a face in them. Nobody here exists."
        )
    )
    return owner


def _owner_from_upload(source: str) -> PhoneOwner | None:
    visitor_photo = photo.upload_photo(source)
    if visitor_photo is None:
        return None
    with progress.queue_spinner("Looking for the face"):
        return photo.owner_from_photo(visitor_photo)


def _select_base(base_id: str) -> None:
    st.query_params["base"] = base_id


def _set_threshold(value: float) -> None:
    st.query_params["threshold"] = f"{value:g}"


def _select_stranger(seed: str) -> None:
    st.query_params["stranger"] = seed


def _clear_stranger() -> None:
    st.query_params.pop("stranger", None)


def show_wall(view: PhoneState, owner: PhoneOwner) -> None:
    """Everybody's verdict under a limit that can be dragged."""
    scores = score_strangers(view, owner)
    limits = cache.cached_thresholds(view.generator, view.recogniser)
    title = registry.find_entry(view.recogniser).title
    marks = [components.ThresholdMark(round(limits.default, 3), "as delivered")]
    marks += [
        components.ThresholdMark(round(limit.distance, 3), f"lets {markup.format_one_in(limit.rate)} in on average")
        for limit in limits.calibrated
    ]
    wall = sorted(
        (
            components.WallTile(str(face.seed), asset_url(face.image), float(scores.guard_distances[face.index]))
            for face in scores.population.wall
            if math.isfinite(scores.guard_distances[face.index])
        ),
        key=lambda face: face.distance,
    )
    known = scores.guard_distances[np.isfinite(scores.guard_distances)]
    missing = len(scores.guard_distances) - len(known)
    components.show_threshold_wall(
        identity=f"{view.generator}-{view.recogniser}-{owner.identity}",
        distances=known.tolist(),
        wall=wall,
        threshold=current_threshold(view),
        bounds=find_threshold_range(scores.guard_distances, [mark.value for mark in marks]),
        marks=marks,
        recogniser=title,
        source=f"{len(scores.guard_distances):,} random faces of {registry.find_entry(view.generator).title}, judged by {title}"
        + (f"; in {missing:,} of them it found no face" if missing else ""),
        note=f"The wall shows {len(wall)} of them, the most alike first",
        key="judge",
        genuine=owner.genuine_distances(view.recogniser),
        on_threshold=_set_threshold,
        on_pick=_select_stranger,
    )
    delivered, people = limits.default_acceptance, limits.strangers - limits.no_face
    with st.expander("Why are there several limits?"):
        st.markdown(
            f"{limits.explanation}\n\n"
            + "\n".join(
                f"- **{format_limit(limit.distance)}** lets {markup.format_one_in(limit.rate)} generated strangers in (95 % "
                f"interval {limit.low:.3f} to {limit.high:.3f}; {limits.pairs:,} pairs of {people:,} people)."
                for limit in limits.calibrated
            )
            + "\n- These shares are averages over all owners: one owner has more strangers who look alike than another; the wall "
            "shows how many get in to this one."
            + _explain_refusals(limits)
            + f"\n- **{format_limit(limits.default)}** is how {title} is delivered: {limits.default_source}. It lets "
            f"{format_percent(delivered.share)} of generated pairs in (95 % interval "
            f"{format_percent(delivered.low)} to {format_percent(delivered.high)})."
        )
    if view.stranger is not None and view.stranger in scores.population.seeds:
        _stranger_dialog(view, owner, scores)


def _explain_refusals(limits: Thresholds) -> str:
    """How often people are refused themselves, at the calibrated limits, as one more line of the list; '' where nobody knows."""
    shares = [
        f"{format_percent(limit.false_non_match.share)} at {format_limit(limit.distance)} "
        f"({format_percent(limit.false_non_match.low)} to {format_percent(limit.false_non_match.high)})"
        for limit in limits.calibrated
        if limit.false_non_match is not None
    ]
    if not shares:
        return ""
    return (
        f"\n- The other way round, people are refused themselves: {', '.join(shares)}; {limits.genuine_pairs:,} pairs of "
        f"pictures of {limits.genuine_people} people in other light, turned, with other expressions, glasses and beards. "
        f"[Which of these costs most](models?errors={limits.generator})"
    )


@st.dialog("One stranger", width="medium", on_dismiss=_clear_stranger)
def _stranger_dialog(view: PhoneState, owner: PhoneOwner, scores: PopulationScores) -> None:
    index = int(np.flatnonzero(scores.population.seeds == view.stranger)[0])
    name = "The owner" if owner.photo is None else "You"
    address = stranger_url(view, scores, index)
    if address is not None:
        st.html(markup.pair_html((owner.src, name), (address, "The stranger")) + stranger_verdicts_html(view, scores, index))
    st.html(markup.caption_html(f"Seed {view.stranger} of {registry.find_entry(view.generator).title}."))
