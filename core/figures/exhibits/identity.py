"""Tables 1 and 2 and Figs. 4 and 5 of paper A, each beside the published values where there are any."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.answers import chosen, coded
from core.analysis.boundary import Estimate
from core.analysis.detection import majority
from core.analysis.published import PublishedMean, published_thresholds
from core.analysis.tables_identity import MeanRow, correlation_table, mean_table
from core.figures import identity as drawn
from core.figures import tables
from core.figures.exhibits.exhibit import Exhibit, View, estimate, in_order, source_of, threshold_of, title_of
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.material import Material

PAPER = "Exploring the Lands Between (paper A)"
OTHER = "StyleGAN2"


def means(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """Table 1, one exhibit a column."""
    name = view.recogniser
    used = {**material.thresholds, **({name: view.threshold} if view.threshold is not None else {})}
    table = mean_table(material.pairs, material.ratings, used, excluded=material.excluded)
    title, limit = title_of(name), table.thresholds.get(name, math.nan)
    people, models = source_of(material, table.basis.source), "models"
    printed = published_thresholds().get(name)
    usual = printed is not None and math.isclose(limit, printed)
    columns: list[tuple[str, str, bool, str, Callable[[MeanRow], Estimate], Callable[[PublishedMean], float], str]] = [
        (
            "same-person",
            "share of people who say 'same person'",
            True,
            people,
            lambda row: row.identity,
            lambda row: row.identity,
            "Everybody was asked of every pair whether both pictures show the same person. The dot is the share of all answers "
            "that were yes.",
        ),
        (
            "accepted",
            f"share accepted by {title} below {limit:.3g}",
            True,
            models,
            lambda row: row.accepted[name],
            lambda row: row.accepted.get(name, math.nan) if usual else math.nan,
            "A recogniser measures how far two faces are apart and accepts the pair as one person below its threshold. The dot "
            "is the share of pairs with two faces that it accepts.",
        ),
        (
            "similarity",
            "rated similarity, 0 to 100",
            False,
            people,
            lambda row: row.similarity,
            lambda row: row.similarity,
            "Everybody moved a slider from 0 (not alike at all) to 100 (as alike as can be). The dot is the mean of all answers.",
        ),
        (
            "distance",
            f"distance by {title}",
            False,
            models,
            lambda row: row.distances[name],
            lambda row: row.distances.get(name, math.nan),
            "How far apart the recogniser places the two faces; 0 is the same picture.",
        ),
        (
            "lpips",
            "difference of the pictures (LPIPS)",
            False,
            models,
            lambda row: row.lpips,
            lambda row: row.lpips,
            "LPIPS says how different two pictures look to a network that knows nothing of faces (Zhang et al. 2018, CVPR).",
        ),
        (
            "latent",
            "distance in the generator, in mean distances of two strangers",
            False,
            models,
            lambda row: row.latent_ratio,
            lambda row: row.latent_ratio,
            "How far apart two faces lie among the numbers that the generator makes them from. Generators have their own units, "
            "so both ours and the published values are divided by the mean between two people.",
        ),
    ]
    made: list[Exhibit] = []
    for key, measure, share, source, ours, theirs, definition in columns:
        if key in ("accepted", "distance") and name not in table.thresholds:
            continue
        if key in ("same-person", "similarity") and not table.basis.answers:
            continue
        rows = [
            {
                "sample_type": row.sample_type,
                "step": math.nan if row.step is None else row.step,
                **estimate(ours(row)),
                "published": theirs(row.published) if row.published else math.nan,
            }
            for row in table.rows
        ]
        data = pd.DataFrame(rows)
        of = "answers" if key in ("same-person", "similarity") else "pairs"
        figure = tables.means(data, measure=measure, source=source, share=share, interval=table.interval, other=OTHER, of=of)
        # the first one brings the whole table along
        made.append(Exhibit(key, figure, data, f"{definition} {PAPER}, Table 1.", table.note, None if made else table))
    return made


def correlations(material: Material, _: View, __: Progress) -> list[Exhibit]:
    """Table 2."""
    table = correlation_table(material.pairs, material.ratings, excluded=material.excluded)
    names = {"similarity": "similarity", "lpips": "LPIPS", "latent": "latent distance"}
    data = pd.DataFrame(
        [
            {
                "sample_type": cell.sample_type,
                "measure": names.get(cell.column) or title_of(cell.column),
                "r": cell.r.value,
                "low": cell.r.low,
                "high": cell.r.high,
                "p": cell.p_holm,
                "n": cell.r.n,
                "published": cell.published.r if cell.published else math.nan,
            }
            for cell in table.cells
        ],
        columns=["sample_type", "measure", "r", "low", "high", "p", "n", "published"],
    )
    figure = tables.correlations(
        data, source=source_of(material, table.basis.source), interval=f"{table.interval}; Holm over the grid"
    )
    return [
        Exhibit(
            "correlations",
            figure,
            data,
            "Pearson's r over pairs: how closely the share of people who say 'same person' goes with another measure. 1 and −1 "
            f"are a straight line, 0 is no line at all. Pairs of a face with itself are left out, as in {PAPER}, Table 2.",
            table.note,
            numbers=table,
        )
    ]


def similarity(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """Fig. 4: how similar people find pairs, and against a recogniser's distance."""
    pairs, source = rated_pairs(material, view.recogniser), material.source
    kept = ["pair_id", "sample_type", "step", "similarity", "distance", "latent_distance"]
    limit = threshold_of(material, view, view.recogniser)
    return [
        Exhibit(
            "similarity-histogram",
            drawn.similarity_histogram(pairs, source=source),
            pairs[["pair_id", "sample_type", "step", "similarity"]],
            f"Each pair counts once, at the mean of all its ratings from 0 to 100. {PAPER}, Fig. 4, left.",
        ),
        Exhibit(
            "similarity-distance",
            drawn.similarity_by_distance(
                pairs, recogniser=title_of(view.recogniser), source=source, threshold=limit if math.isfinite(limit) else None
            ),
            pairs[kept],
            "Each mark is a pair of faces: how far apart the recogniser places them, and how similar people find them. The "
            f"larger the mark, the farther apart the two lie in the generator. {PAPER}, Fig. 4, right.",
        ),
    ]


def decisions(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """Fig. 5: distances split by what most people said, for every recogniser."""
    made: list[Exhibit] = []
    for name in in_order(material, view):
        pairs = rated_pairs(material, name)
        threshold = threshold_of(material, view, name)
        figure = drawn.distance_violins(pairs, recogniser=title_of(name), threshold=threshold, source=material.source)
        made.append(
            Exhibit(
                f"decisions-{name}",
                figure,
                pairs[["pair_id", "sample_type", "step", "distance", "same"]],
                "The shapes show at which distances pairs lie, their width how many there are. Pairs on which people are "
                f"divided half and half are left out. {PAPER}, Fig. 5 and section 6.3.",
            )
        )
    return made


def rated_pairs(material: Material, recogniser: str) -> pd.DataFrame:
    """The pairs with distance (one recogniser's), similarity (mean), same (what most people say; null: divided or not asked)."""
    pairs = material.pairs
    similar = coded(chosen(material.ratings, "similarity", excluded=material.excluded), pairs["pair_id"]).means()
    most, _ = majority(chosen(material.ratings, "identity", excluded=material.excluded), pairs["pair_id"])
    distance = pairs.get(f"distance_{recogniser}", np.nan)
    same = pd.array(most == 1, dtype="boolean")
    same[~np.isfinite(most)] = pd.NA
    return pairs.assign(distance=distance, similarity=similar, same=same)
