"""The zoo of a recogniser: how few owners carry most false matches, how many phones one face opens, and whether people differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from core.analysis.zoo import INTERVAL, AnimalTest, Concentration, Zoo, measure_zoo
from core.errors import LiminalError
from core.figures import theme
from core.figures.dots import plot_dots
from core.figures.exhibit import Exhibit, ExhibitView, order_recognisers
from core.models import registry
from core.progress import Progress
from core.sampling.stored.master_faces import MASTER_FACES, MasterFaces, pick_masters
from core.sampling.stored.population import Thresholds, load_genuine_set, load_population, load_thresholds

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

NO_PROOF = (
    "These people are generated: the figures show how the recogniser behaves on such faces, and prove nothing about real people."
)
ZOO_DEFINITION = (
    "Lambs: owners whose phones many strangers open. Wolves: strangers who open many phones. Goats: people who are often refused "
    "at their own phone (Doddington et al. 1998, ICSLP). A distance is the same from either side, so lambs are wolves too. Were "
    "all people alike, chance alone would spread the errors unevenly: the mark says how unevenly (binomial)."
)
MASTER_DEFINITION = (
    "The face of a random stranger that opens most phones, then the one that opens most of those still locked, and so on. They "
    "are picked by the phones of one half of the people; the share is that of the other half, which had no part in it."
)


Masters = list[tuple[float | None, MasterFaces]]
"""(false match rate or None, faces) at each limit of a recogniser."""


def name_limit(rate: float | None, distance: float) -> str:
    """'1 in 1,000 gets in (0.384)', or 'as delivered (0.600)'."""
    return f"{'as delivered' if rate is None else f'1 in {1 / rate:,.0f} gets in'} ({distance:.3f})"


def exhibit_imitated(zoo: Zoo, limit: int) -> Exhibit:
    """The share of all false matches that each tenth of owners carries at one limit. limit: place among the zoo's."""
    at = zoo.limits[limit]
    table = _tabulate_tenths(at.imitated)
    title = registry.title(zoo.recogniser)
    return Exhibit(
        "zoo-lambs",
        _plot_tenths(table, at.imitated, _say_imitated(zoo, limit), zoo.people),
        table,
        f"{ZOO_DEFINITION} Limit of {title}: {name_limit(at.rate, at.distance)}.",
        f"{explain_animals(zoo)} {NO_PROOF}",
        numbers=zoo,
    )


def _say_imitated(zoo: Zoo, limit: int) -> str:
    at = zoo.limits[limit].imitated
    if not at.rate:
        return f"{registry.title(zoo.recogniser)} lets no stranger in at this limit, so that nobody is easily imitated."
    alone = theme.format_percent(at.none.share, 0)
    return (
        f"The tenth of owners who are most easily imitated carries {theme.format_percent(at.heaviest.value, 0)} of all false "
        f"matches of {registry.title(zoo.recogniser)}; {alone} of owners let nobody in."
    )


def _tabulate_tenths(spread: Concentration) -> pd.DataFrame:
    names = ["most easily imitated tenth", *(f"tenth {number}" for number in range(2, 10)), "least easily imitated tenth"]
    return pd.DataFrame({"tenth": names, "share": spread.tenths})


def _plot_tenths(table: pd.DataFrame, spread: Concentration, says: str, people: int) -> go.Figure:
    if not spread.rate:
        return theme.build_empty_figure(says, "model")
    figure = go.Figure()
    figure.add_bar(
        y=table["tenth"],
        x=table["share"],
        orientation="h",
        marker={"color": [theme.BRICK, *[theme.INDIGO] * (len(table) - 1)]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [spread.heaviest.high - spread.heaviest.value, *[0] * (len(table) - 1)],
            "arrayminus": [spread.heaviest.value - spread.heaviest.low, *[0] * (len(table) - 1)],
            "color": theme.INK,
            "thickness": 1.4,
            "width": 0,
        },
        showlegend=False,
        hovertemplate="%{y}: %{x:.1%} of all false matches<extra></extra>",
    )
    figure.add_scatter(
        y=[table["tenth"].iloc[0]],
        x=[spread.heaviest_alike],
        mode="markers",
        name="were all owners alike",
        marker={"symbol": "line-ns-open", "size": 22, "line": {"width": 2.4}, "color": theme.INK},
        hovertemplate="were all owners alike: %{x:.1%}<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": "share of all false matches", "tickformat": ".0%", "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "showgrid": False},
        height=380,
        showlegend=True,
    )
    return theme.describe_figure(figure, says=says, n=f"{people:,} generated people", interval=INTERVAL, source="model")


def exhibit_animals(zoos: Sequence[Zoo]) -> Exhibit:
    """How much of the differences between distances lies between people: owners, strangers, and people against themselves."""
    rows = []
    for zoo in zoos:
        for name, test in _name_tests(zoo).items():
            rows.append({"name": name, "series": registry.title(zoo.recogniser), "value": test.share.value, "low": test.share.low})
            rows[-1] |= {"high": test.share.high, "n": test.share.n, "kruskal": test.kruskal, "kruskal_p": test.kruskal_p}
            rows[-1] |= {"f": test.f, "f_p": test.f_p, "friedman": test.friedman, "friedman_p": test.friedman_p}
    table = pd.DataFrame(rows)
    first = zoos[0]
    figure = plot_dots(
        table,
        measure="of the variance of distances is between people",
        says=explain_animals(first),
        n=f"{first.people:,} people" + (f", {first.genuine_people:,} others in several pictures" if first.genuine_people else ""),
        interval=INTERVAL,
        source="model",
        share=True,
    )
    return Exhibit(
        "zoo-tests",
        figure,
        table,
        f"{ZOO_DEFINITION} Tests over people: Kruskal and Wallis, F (of owners and strangers in the two-way layout), and Friedman, "
        "which is Durbin's with complete blocks. With so many pairs almost any difference is beyond chance; how large it is says "
        "more.",
        NO_PROOF,
        numbers=list(zoos),
    )


def _name_tests(zoo: Zoo) -> Mapping[str, AnimalTest]:
    tests = {"owners (lambs)": zoo.lambs, "strangers (wolves)": zoo.wolves}
    return tests if zoo.goats is None else {**tests, "people against themselves (goats)": zoo.goats}


def explain_animals(zoo: Zoo) -> str:
    """In a sentence or two whether there are lambs, wolves and goats, and how much they matter."""
    lambs, wolves = (theme.format_percent(test.share.value, 0) for test in (zoo.lambs, zoo.wolves))
    sentence = (
        f"Who the owner is explains {lambs} of the differences between strangers’ distances by {registry.title(zoo.recogniser)}, "
        f"who the stranger is {wolves}"
    )
    beyond = "both beyond chance" if max(zoo.lambs.kruskal_p, zoo.wolves.kruskal_p) < 0.05 else "not both beyond chance"
    sentence += f" ({beyond}, Kruskal-Wallis {format_p(max(zoo.lambs.kruskal_p, zoo.wolves.kruskal_p))})."
    if zoo.goats is None:
        return sentence
    share = zoo.goats.share
    goats = f" Of one person’s own pictures it is {theme.format_percent(share.value, 0)}"
    if share.low == share.low:  # not NaN
        goats += f" ({theme.format_percent(share.low, 0)} to {theme.format_percent(share.high, 0)})"
    return f"{sentence}{goats} that lies in who it is ({format_p(zoo.goats.kruskal_p)})."


def format_p(p: float) -> str:
    """'p = 0.012', 'p < 0.001'."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def exhibit_masters(masters: Mapping[str, Masters]) -> Exhibit:
    """How many phones one face opens, and the first faces together, at each limit. masters: recogniser -> (rate, faces)."""
    rows = []
    for recogniser, limits in masters.items():
        for rate, faces in limits:
            for count, words in ((1, "one face"), (len(faces.rows), f"{len(faces.rows)} faces together")):
                share = faces.share(count)
                rows.append(
                    {
                        "name": f"{registry.title(recogniser)}, {name_limit(rate, faces.limit)}",
                        "series": "one face" if count == 1 else f"up to {MASTER_FACES} faces together",
                        "faces": words,
                        "value": share.share,
                        "low": share.low,
                        "high": share.high,
                        "n": share.judged,
                    }
                )
    table = pd.DataFrame(rows).drop_duplicates(["name", "series"])
    first, limits = next(iter(masters.items()))
    rate, faces = next(((rate, faces) for rate, faces in limits if rate == 0.001), limits[0])
    together = faces.share(len(faces.rows))
    says = (
        f"One face of a stranger opens {theme.format_percent(faces.share(1).share)} of phones guarded by {registry.title(first)} "
        f"({name_limit(rate, faces.limit)}); {len(faces.rows)} together open {theme.format_percent(together.share)}."
    )
    figure = plot_dots(
        table,
        measure="of phones open",
        says=says,
        n=f"{together.judged:,} owners who had no part in the picking",
        interval="95 % Wilson intervals over owners",
        source="model",
        share=True,
        span=(0.0, 1.0),
    )
    return Exhibit("zoo-masters", figure, table, MASTER_DEFINITION, NO_PROOF)


def list_limits(thresholds: Thresholds) -> list[tuple[float | None, float]]:
    """(false match rate, distance) of a recogniser: as delivered (None) first, then as calibrated."""
    return [(None, thresholds.default), *((cut.rate, cut.distance) for cut in thresholds.calibrated)]


def measure_generator(generator: str, recogniser: str) -> tuple[Zoo, Masters]:
    """The zoo of a recogniser among a generator's strangers, and the faces that open most phones at each limit.

    Kept for the next who asks: they depend on stored tables alone. Raises LiminalError where these are missing or hold too few.
    """
    population = load_population(generator, judged_by=recogniser)
    return _measure_stored(generator, recogniser, population.date, len(population))


@lru_cache(maxsize=8)
def _measure_stored(generator: str, recogniser: str, _date: str, _people: int) -> tuple[Zoo, Masters]:
    population, thresholds = load_population(generator, judged_by=recogniser), load_thresholds(generator, recogniser)
    zoo = measure_zoo(population, load_genuine_set(generator), recogniser, thresholds)
    return zoo, [(rate, pick_masters(population, recogniser, distance)) for rate, distance in list_limits(thresholds)]


def exhibit_zoo(study_data: StudyData, view: ExhibitView, progress: Progress) -> list[Exhibit]:
    """The zoo of the recognisers that judged a study's pairs, among the strangers of the generator of its faces."""
    names = order_recognisers(study_data, view, required=True)
    if not study_data.generator:
        raise LiminalError(
            "Who is easily imitated is measured among the strangers of a generator; no generator made these pictures."
        )
    zoos, masters = list[Zoo](), dict[str, Masters]()
    judged = load_population(study_data.generator).descriptors
    names = [name for name in names if name in judged]
    if not names:
        raise LiminalError("None of the recognisers that judged these pairs has judged the strangers of their generator.")
    for index, name in enumerate(names):
        progress.stage(f"Every stranger in front of every phone, by {registry.title(name)}", index / len(names))
        zoo, masters[name] = measure_generator(study_data.generator, name)
        zoos.append(zoo)
    return [exhibit_masters(masters), exhibit_imitated(zoos[0], find_zoo_limit(zoos[0])), exhibit_animals(zoos)]


def find_zoo_limit(zoo: Zoo, distance: float | None = None) -> int:
    """The place of the limit nearest to a distance; None: of that which lets 1 stranger in 1,000 in, else as delivered."""
    if distance is None:
        return next((place for place, limit in enumerate(zoo.limits) if limit.rate == 0.001), 0)
    return min(range(len(zoo.limits)), key=lambda place: abs(zoo.limits[place].distance - distance))
