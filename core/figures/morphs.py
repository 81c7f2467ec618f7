"""Two owners, one face: the share of faces between two people that open both phones, by step, recogniser and limit; and people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from core.analysis.morphs import INTERVAL, NO_MORPHS, MorphRate, find_morphs, rate_people, rate_recogniser
from core.errors import LiminalError
from core.figures import theme
from core.figures.dots import plot_dots
from core.figures.exhibit import Exhibit, ExhibitView, find_threshold, name_raters, name_source, order_recognisers
from core.models import registry
from core.progress import Progress
from core.sampling.stored.population import load_thresholds

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

DEFINITION = (
    "A face between two people is in front of both phones. Mated morph presentation match rate (MMPMR; Scherhag et al. 2017, "
    "BIOSIG; ISO/IEC 20059): the share of such faces that lie within the limit of both. One without a found face opens neither. "
    "People: the share of faces that the majority takes for both persons. In sets of morphs phones know other pictures of the "
    "owners than those that were mixed; in other identity samples the very same, which is easier to pass."
)
PEOPLE_LIMIT = "majority"


def exhibit_morphs(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """How often one face opens both phones, by every recogniser at its limits, beside people where both ends were asked about."""
    names = order_recognisers(study_data, view, required=True)
    morphs = find_morphs(study_data.pairs)
    if not len(morphs):
        raise LiminalError(NO_MORPHS)
    rates: list[tuple[str, MorphRate]] = []
    for name in names:
        for words, limit in list_morph_limits(study_data.generator, name, find_threshold(study_data, view, name)):
            rates += [(f"{registry.title(name)} {words}", rate) for rate in rate_recogniser(morphs, name, limit)]
    who = name_raters(study_data)
    people = rate_people(morphs, study_data.ratings, excluded=study_data.excluded)
    rates += [(f"the majority of {who}", rate) for rate in people]
    return [exhibit_morph_rates(rates, name_source(study_data, "models", *([study_data.source] if people else [])))]


def list_morph_limits(generator: str, recogniser: str, limit: float) -> list[tuple[str, float]]:
    """(words, distance): the given limit, then that which lets 1 stranger in 1,000 in, where it is known and another one."""
    limits = [(f"at {limit:.3f}", limit)]
    try:
        strict = load_thresholds(generator, recogniser).at(0.001).distance
    except LiminalError:  # not calibrated on this generator's faces
        return limits
    return limits if abs(strict - limit) < 5e-4 else [*limits, (f"at {strict:.3f} (1 in 1,000 gets in)", strict)]


def exhibit_morph_rates(rates: Sequence[tuple[str, MorphRate]], source: str) -> Exhibit:
    """Rates as dots, one row a step and who judges. rates: (who at which limit, in words; rate)."""
    rows = [
        {
            "name": describe_step(rate.step),
            "series": words,
            "value": rate.both.value,
            "low": rate.both.low,
            "high": rate.both.high,
            "n": rate.morphs,
            "step": rate.step,
            "limit": rate.limit,
            "pairs_of_owners": rate.owners,
            "no_face": rate.no_face,
        }
        for words, rate in sorted(rates, key=lambda row: -row[1].step)
    ]
    table = pd.DataFrame(rows)
    first = rates[0][0]
    middle = max((rate for words, rate in rates if words == first), key=lambda rate: rate.step)
    says = f"{describe_step(middle.step).capitalize()}, {_format_rate(middle)} of faces open both phones of {first}"
    others = [(words, rate) for words, rate in rates if words != first and rate.step == middle.step]
    more = "; ".join(
        f"{words} take {_format_rate(rate)} for both" if rate.who == "people" else f"{_format_rate(rate)} those of {words}"
        for words, rate in others
    )
    figure = plot_dots(
        table,
        measure="of faces open both phones",
        says=f"{says}{f'; {more}' if more else ''}.",
        n=f"{sum(rate.morphs for words, rate in rates if words == first):,} faces between {middle.owners:,} pairs of people",
        interval=INTERVAL,
        source=source,
        share=True,
        span=(0.0, 1.0),
    )
    note = "These people are generated: nothing of this is proof about real people or about systems that look for morphs."
    return Exhibit("morphs", figure, table, DEFINITION, note, numbers=[rate for _, rate in rates])


def describe_step(step: float) -> str:
    """'half way', '30 % of the way'."""
    return "half way" if abs(step - 0.5) < 1e-6 else f"{100 * step:.0f} % of the way"


def _format_rate(rate: MorphRate) -> str:
    return theme.format_percent(rate.both.value, 0)
