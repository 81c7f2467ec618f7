"""Below the search on the page 'Who could unlock my phone': the face that opens most phones, and whose phone opens most easily.

What is shown is counted among the stored strangers, which takes a moment, and for all visitors once. A search for better faces is
asked for. Pictures that are not stored are made again from their seeds.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.figures.theme import format_percent
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling.stored.master_faces import MASTER_FACES, MasterFaces, pick_masters
from ui import cache, components, markup, progress
from ui.analysis.figure_card import show_figure_card
from ui.cache import SharedResultCache
from ui.jobs import find_or_start_job
from ui.phone.page import cached_stranger_pictures, current_threshold, render_stranger
from ui.pictures import asset_url, face_url, picture_url
from ui.selection import bound_choice
from ui.state import PhoneState

if TYPE_CHECKING:
    from core.analysis.zoo import Zoo
    from core.figures import zoo as zoo_figures
    from core.figures.zoo import Masters
    from core.sampling import master_search
    from core.sampling.master_search import SearchedMasters
else:  # Plotly and PyTorch, after the page has painted
    zoo_figures, master_search = lazy_import("core.figures.zoo"), lazy_import("core.sampling.master_search")

PHONES = 100
"""Phones of the picture: so many that a share is a number of them."""
SHOWN_ANIMALS = 3
ZOO_JOB, PICTURES_JOB, MASTER_JOB = "zoo_job", "zoo_pictures_job", "master_job"


@st.cache_resource(show_spinner=False, max_entries=32)
def _pick_masters(generator: str, recogniser: str, limit: float, people: int, date: str) -> MasterFaces:
    return pick_masters(cache.cached_population(generator, recogniser), recogniser, limit)


MasterQuestion = tuple[str, str, float, int]
"""generator, recogniser, threshold, faces."""


@st.cache_resource(show_spinner=False)
def cached_masters() -> SharedResultCache:
    """What searches found, by question."""
    return SharedResultCache(24)


def find_or_render_strangers(generator: str, recogniser: str, seeds: Sequence[int], slot: str) -> dict[int, str] | None:
    """Addresses of strangers' pictures by seed, stored or made again; while they are made, the page shows how far, and None."""
    population = cache.cached_population(generator, recogniser)
    stored = {face.seed: asset_url(face.image) for face in population.wall}
    missing = [seed for seed in dict.fromkeys(seeds) if seed not in stored]
    made = {seed: cached_stranger_pictures().get((generator, seed)) for seed in missing}
    if any(picture is None for picture in made.values()):
        job = find_or_start_job(
            slot, (generator, *missing), "pictures of strangers", _make_render_job(generator, missing), automatic=True
        )
        if not job.finished:
            progress.watch_job(job.id)
            return None
        if job.status != "done":
            progress.show_outcome(job)
            return None
        made = dict(job.result)
    return {seed: stored[seed] if seed in stored else picture_url(made[seed]) for seed in seeds}


def _make_render_job(generator: str, seeds: Sequence[int]) -> Callable[[Progress], dict[int, bytes]]:
    def work(progress: Progress) -> dict[int, bytes]:
        pictures = {}
        for place, seed in enumerate(seeds):
            progress.stage(f"Making picture {place + 1} of {len(seeds)}", place / len(seeds))

            def render(seed: int = seed) -> bytes:
                return render_stranger(generator, seed)

            pictures[seed] = cached_stranger_pictures().get_or_compute((generator, seed), render, progress)
        return pictures

    return work


def show_masters(view: PhoneState) -> None:
    """The face, or the ten, that open most phones at the limit in force, before a hundred owners' phones."""
    st.space("medium")
    st.header("A few faces for many phones", anchor="master")
    limit, population = current_threshold(view), cache.cached_population(view.generator, view.recogniser)
    try:
        among_strangers = _pick_masters(view.generator, view.recogniser, limit, len(population), population.date)
    except LiminalError as error:  # too few strangers: the rest of the page stays
        st.html(markup.caption_html(str(error)))
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="master-choices"):
        together = bound_choice(
            "How many faces?", ["ten", "one"], "faces", titles={"one": "One face", "ten": f"{MASTER_FACES} faces"}
        )
        made = bound_choice(
            "Where from?", ["strangers", "search"], "from", titles={"strangers": "Among strangers", "search": "By a search"}
        )
    count = 1 if together == "one" else MASTER_FACES
    if made == "search":
        searched = _find_or_search(view, limit, count)
        if searched is None:
            return
        faces, pictures = searched.faces, [face_url(picture) for picture in searched.pictures]
    else:
        faces = among_strangers
        seeds = [int(population.seeds[row]) for row in faces.rows[:count]]
        addresses = find_or_render_strangers(view.generator, view.recogniser, seeds, PICTURES_JOB)
        if addresses is None:
            return
        pictures = [addresses[seed] for seed in seeds]
    _show_opened_phones(view, faces, pictures[:count], limit)


def _find_or_search(view: PhoneState, limit: float, count: int) -> SearchedMasters | None:
    question = (view.generator, view.recogniser, limit, count)
    found: SearchedMasters | None = cached_masters().get(question)
    if found is not None:
        return found
    slow = "" if _predicts(view) else " Nothing predicts what it says, so that every step makes true pictures: this is slow."
    result: SearchedMasters | None = progress.offer_job(
        MASTER_JOB,
        question,
        "search for the face that opens most phones",
        _make_search_job(question),
        words=f"Strangers are changed step by step until they open more phones of {registry.title(view.recogniser)}.{slow}",
        button=f"Search for {'the face' if count == 1 else f'{count} faces'}",
        key="search-masters",
        again="Search again",
    )
    return result


def _predicts(view: PhoneState) -> bool:
    return registry.find_descriptor_surrogate(view.generator, view.recogniser) is not None


def _make_search_job(question: MasterQuestion) -> Callable[[Progress], SearchedMasters]:
    generator, recogniser, limit, count = question
    population = cache.cached_population(generator, recogniser)

    def make(progress: Progress) -> SearchedMasters:
        progress.stage("Loading the networks", 0.0)
        return master_search.search_masters(population, recogniser, limit, count=count, progress=progress)

    def work(progress: Progress) -> SearchedMasters:
        result: SearchedMasters = cached_masters().get_or_compute(question, lambda: make(progress), progress)
        return result

    return work


def _show_opened_phones(view: PhoneState, faces: MasterFaces, pictures: Sequence[str], limit: float) -> None:
    population, count = cache.cached_population(view.generator, view.recogniser), len(pictures)
    opened, share = faces.opened(count), faces.share(count)
    rank = {int(row): place for place, row in enumerate(faces.owners.counting)}
    owners = [(face, bool(opened[rank[face.index]])) for face in population.wall if face.index in rank][:PHONES]
    owners.sort(key=lambda owner: not owner[1])  # what opens stands together, so that it can be counted
    inside = sum(is_open for _, is_open in owners)
    words = "This one face opens" if count == 1 else f"These {count} faces together open"
    title = registry.title(view.recogniser)
    left, right = st.columns([4, 7], gap="large")
    with left:
        if count == 1:
            st.html(
                markup.portrait_html(pictures[0], "The generated face that opens most phones", "The face that opens most phones")
            )
        else:
            figures = "".join(
                f'<img src="{html.escape(src)}" alt="Face {place} of {count}" loading="lazy">'
                for place, src in enumerate(pictures, 1)
            )
            st.html(f'<div class="master-faces">{figures}</div>')
        picked = faces.share(count, picking=True)
        st.html(
            markup.caption_html(
                f"{'Picked' if faces.rows[0] >= 0 else 'Made'} by the phones of {picked.judged:,} other people, of which "
                f"{'it opens' if count == 1 else 'they open'} {format_percent(picked.share)}."
            )
        )
    with right:
        if owners:
            st.subheader(f"{words} {inside or 'none'} of these {len(owners)} phones", anchor=False)
            st.html(phones_html([(asset_url(face.image), is_open) for face, is_open in owners]))
        st.html(
            markup.caption_html(
                f"Of all {share.judged:,} owners who had no part in the picking, {format_percent(share.share)} (95 % interval "
                f"{format_percent(share.low)} to {format_percent(share.high)}), guarded by {title} at "
                f"{markup.format_limit(limit)}; drag the limit above to see how this changes. Everybody here is generated, and "
                "generated faces are more alike than people are: this shows how such a recogniser behaves, and proves nothing "
                "about real people."
            )
        )


def phones_html(owners: Sequence[tuple[str, bool]]) -> str:
    """Owners' faces as HTML, (address, whether the phone opens): what opens is lit, the rest stays dark."""
    cells = "".join(
        f'<i data-open="{str(is_open).lower()}"><img src="{html.escape(src)}" '
        f'alt="{"This phone opens" if is_open else "This phone stays locked"}" loading="lazy"></i>'
        for src, is_open in owners
    )
    key = '<span data-open="true">opens</span><span data-open="false">stays locked</span>'
    return f'<div class="phones" role="list">{cells}</div><p class="phones-key" aria-hidden="true">{key}</p>'


def show_animals(view: PhoneState) -> None:
    """Lambs, wolves and goats of the recogniser on guard: three faces of each kind, and how unevenly errors are spread."""
    st.space("medium")
    st.header("Whose phone opens most easily?", anchor="zoo")
    key = (view.generator, view.recogniser)
    job = find_or_start_job(ZOO_JOB, key, "who is easily imitated", _make_zoo_job(*key), automatic=True)
    if not job.finished:
        progress.watch_job(job.id)
        return
    if job.status != "done":
        progress.show_outcome(job)
        return
    zoo, masters = job.result
    place = zoo_figures.find_zoo_limit(zoo, current_threshold(view))
    at = zoo.limits[place]
    lambs = [(zoo.seeds[row], share) for row, share in at.imitated.most[:SHOWN_ANIMALS] if share.count]
    goats = [
        (zoo.genuine_seeds[row], share) for row, share in (at.refused.most if at.refused else ())[:SHOWN_ANIMALS] if share.count
    ]
    addresses = find_or_render_strangers(*key, [seed for seed, _ in (*lambs, *goats)], f"{PICTURES_JOB}-animals")
    if addresses is not None and (lambs or goats):
        kinds = (
            ("Most easily imitated, and imitating most", "lambs and wolves", lambs, "strangers get in"),
            ("Most often refused at their own phone", "goats", goats, "tries with their own face fail"),
        )
        shown = [kind for kind in kinds if kind[2]]
        for column, (title, animals, people, words) in zip(st.columns(len(shown), gap="large"), shown, strict=True):
            with column:
                st.subheader(title, anchor=False)
                tiles = [
                    components.Tile(
                        str(seed), addresses[seed], f"Generated face, {animals}", note=f"{share.count:,} of {share.n:,} {words}"
                    )
                    for seed, share in people
                ]
                components.show_faces(
                    [components.FaceGroup(tiles, columns=SHOWN_ANIMALS)],
                    key=f"animals-{animals.split()[0]}",
                    on_pick=lambda _: None,
                    layout="rows",
                    tile="11rem",
                )
        st.html(
            markup.caption_html(
                f"{registry.title(view.recogniser)}, {zoo_figures.name_limit(at.rate, at.distance)}. A distance is "
                "the same from either side: whoever is easily taken for others also lets them in."
                + (
                    " Pairs of pictures of one person in other light, turned, with other expressions and things worn."
                    if goats
                    else ""
                )
            )
        )
    show_figure_card(zoo_figures.exhibit_imitated(zoo, place), "zoo-lambs", name=f"easily-imitated-{view.recogniser}")
    exhibit = zoo_figures.exhibit_masters({view.recogniser: masters})
    show_figure_card(exhibit, "zoo-masters", name=f"master-faces-{view.recogniser}")


def _make_zoo_job(generator: str, recogniser: str) -> Callable[[Progress], tuple[Zoo, Masters]]:
    def work(progress: Progress) -> tuple[Zoo, Masters]:
        progress.stage("Putting every stranger in front of every phone", 0.1)
        measured: tuple[Zoo, Masters] = zoo_figures.measure_generator(generator, recogniser)
        return measured

    return work
