"""On the page 'Identity samples': pairs of which one recogniser says the same person and another two people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import CONTROVERSIAL_TYPE, IdentityConfiguration, configure_controversial
from ui import cache, markup, progress
from ui.cache import SharedResultCache
from ui.markup import PartingPair, count_noun
from ui.pictures import face_url
from ui.state import IdentityState
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    from core.sampling import controversial_pairs
    from core.sampling.sample_set import SampleSet
else:  # PyTorch, after the page has painted
    controversial_pairs = lazy_import("core.sampling.controversial_pairs")

PAIRS = 24
SHOWN = 8
CONTROVERSIAL_JOB = "controversial_job"


@st.cache_resource(show_spinner=False)
def cached_pairs() -> SharedResultCache:
    """Sets of pairs by their configuration."""
    return SharedResultCache(60)


def show_controversial(view: IdentityState) -> None:
    """What the pairs are and a button; then the surest ones with both verdicts, and a study of all of them in one press."""
    configuration = view.configuration
    population = cache.cached_population(configuration.generator)
    others = [name for name in population.descriptors if name != configuration.recogniser]
    if configuration.recogniser not in population.descriptors or not others:
        return  # nobody to part from: one recogniser alone knows these strangers
    recognisers = (configuration.recogniser, others[0])
    titles = [registry.title(name) for name in recognisers]
    st.header("Where two recognisers part", anchor="controversial")
    question = configure_controversial(configuration.generator, recognisers, seed=configuration.seed, judges=others)
    found: SampleSet | None = cached_pairs().get(question)
    if found is None:
        found = _find_or_make(question, titles)
    if found is None:
        return
    _show_pairs(found, recognisers)
    ask_people(found, f"Where {titles[0]} and {titles[1]} part, seed {configuration.seed}", key="ask-controversial")


def _find_or_make(question: IdentityConfiguration, titles: list[str]) -> SampleSet | None:
    predicted = all(registry.find_descriptor_surrogate(question.generator, name) for name in question.judges[:2])
    slow = " Nothing predicts what they say of these faces, so that every step makes true pictures: this takes many minutes."
    result: SampleSet | None = progress.offer_job(
        CONTROVERSIAL_JOB,
        question,
        "pairs on which recognisers part",
        _make_job(question),
        words=f"Two faces that are one person to {titles[0]} and two people to {titles[1]}, or the other way round, both without "
        f"doubt. What people say of such pairs tells which of the two sees as they do.{'' if predicted else slow}",
        button=f"Find {PAIRS} pairs",
        key="find-controversial",
    )
    return result


def _make_job(question: IdentityConfiguration) -> Callable[[Progress], SampleSet]:
    population = cache.cached_population(question.generator)
    limits = {name: cache.cached_thresholds(question.generator, name).opening for name in question.judges[:2]}

    def make(progress: Progress) -> SampleSet:
        progress.stage("Loading the networks", 0.0)
        return controversial_pairs.generate_controversial_pairs(question, population, limits, count=PAIRS, progress=progress)

    def work(progress: Progress) -> SampleSet:
        result: SampleSet = cached_pairs().get_or_compute(question, lambda: make(progress), progress)
        return result

    return work


def _show_pairs(found: SampleSet, recognisers: tuple[str, str]) -> None:
    facts: dict[str, Any] = found.manifest["controversial"]
    limits, total = facts["limits"], len(facts["pairs"])
    rows = found.pairs[found.pairs["sample_type"] == CONTROVERSIAL_TYPE].set_index("pair_id")
    cards = []
    for record in facts["pairs"][:SHOWN]:
        pair = rows.loc[record["pair_id"]]
        says = []
        for name in recognisers:
            distance = float(pair[f"distance_{name}"])
            verdict = markup.judge_distance(distance, limits[name])
            says.append(
                (
                    registry.title(name),
                    verdict,
                    "" if verdict == "none" else f"distance {markup.format_distance(distance, limits[name])}",
                )
            )
        faces = face_url(found.images[pair["base_id"]]), face_url(found.images[pair["sample_id"]])
        cards.append(PartingPair(faces, says))
    st.html(markup.parting_html(cards))
    margin = 100 * facts["margin"]
    at = " and ".join(f"{registry.title(name)} {markup.format_limit(limits[name])}" for name in recognisers)
    st.html(
        markup.caption_html(
            f"The {min(SHOWN, total)} surest of {count_noun(total, 'pair')}. In {facts['kept']} of {total} both recognisers are "
            f"sure by at least {margin:.0f} % of their limits ({at}); all were judged on the pictures that are shown. Generated "
            "faces: what two recognisers make of them is no proof about real people."
        )
    )
