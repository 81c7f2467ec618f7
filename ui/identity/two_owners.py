"""On the page 'Identity samples': where on the way one face opens both phones, and how often that works between many owners."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.configuration import IdentityConfiguration, configure_morphs, numpy_generator, sample_seed
from ui import cache, markup, progress
from ui.analysis.figure_card import show_figure_card
from ui.cache import SharedResultCache
from ui.identity.sets import IdentityRequest
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    from core.analysis import morphs
    from core.figures import morphs as morph_figures
    from core.sampling import morphing
    from core.sampling.interpolation import InterpolationStrip
    from core.sampling.sample_set import SampleSet
else:  # pandas' merges, Plotly and PyTorch, after the page has painted
    morphs, morph_figures = lazy_import("core.analysis.morphs"), lazy_import("core.figures.morphs")
    morphing = lazy_import("core.sampling.morphing")

MORPH_PAIRS = 8
"""Pairs of people of the gallery: some 20 seconds on two idle cores."""
MORPHS_JOB = "morphs_job"

OPENS = {
    "first": "opens the base’s phone",
    "both": "opens both",
    "last": "opens the other’s",
    "": "opens neither",
}


def name_opened(first: float | None, last: float | None, limit: float) -> str:
    """Which phones a face opens, by its distance to either end (None: no face found): first, last, both, or neither ('')."""
    opens = [distance is not None and distance < limit for distance in (first, last)]
    return "both" if all(opens) else "first" if opens[0] else "last" if opens[1] else ""


def show_both_phones(strip: InterpolationStrip, limits: Mapping[str, float], words: str, partner: int) -> None:
    """Each recogniser's band of the way: which phones every picture opens, and in words where one face opens both."""
    if not strip.from_end:
        return
    rows, sentences = "", []
    for first, last in zip(strip.judgements, strip.from_end, strict=True):
        limit = limits.get(first.recogniser, first.threshold)
        opened = [name_opened(a, b, limit) for a, b in zip(first.distances, last.distances, strict=True)]
        cells = "".join(f'<i data-opens="{name}"></i>' for name in opened)
        sentence = _describe_both(first.title, [place for place, name in enumerate(opened) if name == "both"], len(opened))
        sentences.append(sentence)
        rows += (
            f'<div><b>{html.escape(first.title)}</b><div class="both-band" role="img" aria-label="{html.escape(sentence)}">{cells}'
            "</div></div>"
        )
    key = "".join(
        f'<span><i class="both-band"><i data-opens="{name}"></i></i>{title.replace("the other", f"person {partner}")}</span>'
        for name, title in OPENS.items()
    )
    st.subheader("Is there a face for both phones?", anchor="both")
    st.html(f'<div class="both">{rows}</div><p class="both-key">{key}</p>')
    st.html(
        markup.caption_html(
            f"{' '.join(sentences)} From the base, left, to person {partner}, right, at limits {words}. One face for two people is "
            "a morphing attack; both phones know the very pictures that were mixed, which is the easiest case."
        )
    )


def _describe_both(title: str, places: Sequence[int], frames: int) -> str:
    if not places:
        return f"{title} takes no face on this way for both."
    first, last = (100 * place / (frames - 1) for place in (places[0], places[-1]))
    return f"{title} takes {len(places)} of {frames} faces for both, from {first:.0f} % to {last:.0f} % of the way."


@st.cache_resource(show_spinner=False)
def cached_morphs() -> SharedResultCache:
    """Sets of morphs by their configuration."""
    return SharedResultCache(60)


def show_morph_rates(request: IdentityRequest) -> None:
    """How often one face opens both phones, between pairs of people of the gallery; made when asked for."""
    configuration = request.configuration
    st.header("How often does one face open two phones?", anchor="morphs")
    guard, known = configuration.recogniser, cache.cached_population(configuration.generator).descriptors
    judges = (guard, *(name for name in known if name != guard))
    question = configure_morphs(configuration.generator, guard, seed=configuration.seed, judges=judges)
    found: SampleSet | None = cached_morphs().get(question)
    if found is None:
        found = _find_or_make_morphs(question)
    if found is None:
        return
    table, rates = morphs.find_morphs(found.pairs), []
    for name in question.judges:
        default = cache.cached_thresholds(configuration.generator, name).default
        for words, limit in morph_figures.list_morph_limits(configuration.generator, name, default):
            rates += [(f"{registry.title(name)} {words}", rate) for rate in morphs.rate_recogniser(table, name, limit)]
    show_figure_card(morph_figures.exhibit_morph_rates(rates, "models"), "morphs", name="two-owners-one-face")
    ask_people(found, f"Two owners, one face, seed {configuration.seed}", key="ask-morphs")


def _find_or_make_morphs(question: IdentityConfiguration) -> SampleSet | None:
    result: SampleSet | None = progress.offer_job(
        MORPHS_JOB,
        question,
        "faces between two owners",
        _make_morphs_job(question),
        words=f"Faces between {MORPH_PAIRS} pairs of people, each held in front of the phones of both. The phones know other "
        "pictures of the two, where the generator can make them.",
        button="Make them",
        key="make-morphs",
    )
    return result


def _make_morphs_job(question: IdentityConfiguration) -> Callable[[Progress], SampleSet]:
    bases = cache.cached_gallery(question.generator).bases
    pairs = min(MORPH_PAIRS, len(bases) // 2)
    order = numpy_generator(sample_seed(question.seed, "morphs")).permutation(len(bases))[: 2 * pairs]
    owners = [Base(bases[int(place)].latent, bases[int(place)].seed) for place in order]

    def make(progress: Progress) -> SampleSet:
        return morphing.generate_morphs(question, pairs, progress, owners=owners)

    def work(progress: Progress) -> SampleSet:
        result: SampleSet = cached_morphs().get_or_compute(question, lambda: make(progress), progress)
        return result

    return work
