"""Two sides on the same axes: both values by type of sample or pair of feelings, and their difference with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.acceptance import ORDER
from core.analysis.answers import Array, chosen, coded
from core.analysis.choices import miller_madow, vote_counts
from core.analysis.comparison import Comparison, answers_side, cells_of, compared, values_side
from core.analysis.deciders import probabilities
from core.analysis.detection import majority
from core.analysis.results import Basis
from core.errors import LiminalError
from core.figures import theme
from core.figures.comparison import side_by_side
from core.figures.exhibits.exhibit import Exhibit, View, source_of, threshold_of, title_of
from core.figures.exhibits.identity import rated_pairs
from core.figures.exhibits.sides import exhibits
from core.figures.identity import similarity_by_distance
from core.models.emotions import EMOTIONS
from core.studies.ratings import Task

if TYPE_CHECKING:
    from core.analysis.material import Material


def materials(first: Material, second: Material, titles: tuple[str, str], view: View) -> list[Exhibit]:
    """Two studies, two sample sets, or the answers of two groups. Raises LiminalError where they ask different things."""
    if first.kind != second.kind:
        raise LiminalError("One asks who it is and the other which feeling it is; choose two of one kind.")
    return _identity(first, second, titles, view) if first.kind == "identity" else _emotion(first, second, titles)


def _identity(first: Material, second: Material, titles: tuple[str, str], view: View) -> list[Exhibit]:
    tables = (first.pairs, second.pairs)
    order = [name for name in ORDER if any((table["sample_type"] == name).any() for table in tables)]
    shared = set(first.pairs["pair_id"]) == set(second.pairs["pair_id"])
    if shared:
        tables = (first.pairs, first.pairs)
    sides = tuple(zip((first, second), titles, tables, strict=True))
    cells = [cells_of(table["sample_type"], order) for table in tables]
    names = [*order, "all"]
    made: list[Exhibit] = []
    asked: tuple[tuple[Task, str, str, bool], ...] = (
        ("identity", "same-person", "share of 'same person'", True),
        ("similarity", "similarity", "rated similarity, 0 to 100", False),
    )
    for task, key, measure, share in asked:
        codes = [coded(chosen(m.ratings, task, excluded=m.excluded), table["pair_id"]) for m, _, table in sides]
        if all(len(each.value) for each in codes):
            both = [answers_side(title, each, cell) for (_, title, _), each, cell in zip(sides, codes, cells, strict=True)]
            found = compared(names, both[0], both[1], shared=shared)
            made += exhibits(found, key, measure, share=share, source=_sources(first, second, found))
    made += _side_by_side([(title, material, view.recogniser) for material, title, _ in sides], view)
    if view.recogniser and not shared and all(view.recogniser in each.thresholds for each in (first, second)):
        both = []
        for (material, title, table), cell in zip(sides, cells, strict=True):
            both.append(
                values_side(title, _accepted(material, table, view.recogniser, view), cell, Basis(len(table), 0, 0, "models"))
            )
        found = compared(names, both[0], both[1], shared=False)
        made += exhibits(found, "accepted", f"share accepted by {title_of(view.recogniser)}", share=True, source="models")
    return made


def _emotion(first: Material, second: Material, titles: tuple[str, str]) -> list[Exhibit]:
    tables = (first.asked, second.asked)
    shared = set(tables[0]["sample_id"]) == set(tables[1]["sample_id"])
    if shared:
        tables = (tables[0], tables[0])
    pairs = [_pair_names(table) for table in tables]
    order = [
        name for name in dict.fromkeys([*pairs[0], *pairs[1]]) if name and (pairs[0] == name).any() and (pairs[1] == name).any()
    ]
    cells = [cells_of(each, order) for each in pairs]
    names = [*order, "all"]
    counts, basis = [], []
    for material, table in zip((first, second), tables, strict=True):
        codes = coded(chosen(material.ratings, "emotion", excluded=material.excluded, sentinels=False), table["sample_id"])
        counts.append(vote_counts(codes))
        basis.append(codes)
    made = []
    if all(each.sum() for each in counts):
        both = []
        for codes, table, title, cell in zip(basis, tables, titles, cells, strict=True):
            wanted = _wanted(table)[codes.image]
            hit = np.where(wanted[:, 0] == codes.value, 1.0, np.where(wanted[:, 1] == codes.value, 1.0, 0.0))
            both.append(answers_side(title, type(codes)(**{**codes.__dict__, "value": hit}), cell))
        found = compared(names, both[0], both[1], shared=shared)
        made += exhibits(
            found, "wanted", "votes for one of the two wanted feelings", share=True, source=_sources(first, second, found)
        )
        bits = [np.where(each.sum(axis=1) > 1, miller_madow(each), np.nan) for each in counts]
        both = [
            values_side(title, value, cell, codes.basis)
            for title, value, cell, codes in zip(titles, bits, cells, basis, strict=True)
        ]
        found = compared(names, both[0], both[1], shared=shared)
        made += exhibits(found, "bits", "how divided people are, bits", share=False, source=_sources(first, second, found))
    known = [name for name in first.classifiers if name in second.classifiers]
    if not shared and known:
        both = []
        for material, table, title, cell in zip((first, second), tables, titles, cells, strict=True):
            p = probabilities(table, known[-1], material.steerer)
            both.append(values_side(title, _on_pair(p, table), cell, Basis(len(table), 0, 0, "models")))
        found = compared(names, both[0], both[1], shared=False)
        made += exhibits(
            found, "probability", f"probability of the two feelings by {title_of(known[-1])}", share=True, source="models"
        )
    return made


def models(material: Material, first: str, second: str, view: View) -> list[Exhibit]:
    """Two recognisers or two classifiers about the same images. Raises LiminalError for one that did not judge them."""
    return _recognisers(material, first, second, view) if material.kind == "identity" else _classifiers(material, first, second)


def _recognisers(material: Material, first: str, second: str, view: View) -> list[Exhibit]:
    pairs = material.pairs
    order = [name for name in ORDER if (pairs["sample_type"] == name).any()]
    cells, names = cells_of(pairs["sample_type"], order), [*order, "all"]
    accepted = {name: _accepted(material, pairs, name, view) for name in (first, second)}
    basis = Basis(len(pairs), 0, 2 * len(pairs), "models")
    sides = [values_side(title_of(name), accepted[name], cells, basis) for name in (first, second)]
    made = exhibits(compared(names, sides[0], sides[1], shared=True), "accepted", "share accepted", share=True, source="models")
    made += _side_by_side([(title_of(name), material, name) for name in (first, second)], view)
    most, _ = majority(chosen(material.ratings, "identity", excluded=material.excluded), pairs["pair_id"])
    if np.isfinite(most).any():
        agree = {
            name: np.where(np.isfinite(most) & np.isfinite(accepted[name]), (accepted[name] == most).astype(np.float64), np.nan)
            for name in (first, second)
        }
        sides = [values_side(title_of(name), agree[name], cells, basis) for name in (first, second)]
        source = source_of(material, "people" if material.source == "published" else material.source, "models")
        found = compared(names, sides[0], sides[1], shared=True)
        made += exhibits(found, "agreement", "pairs on which it agrees with most people", share=True, source=source)
    return made


def _classifiers(material: Material, first: str, second: str) -> list[Exhibit]:
    samples = material.asked
    pairs = _pair_names(samples)
    order = [name for name in dict.fromkeys(pairs) if name]
    cells, names = cells_of(pairs, order), [*order, "all"]
    said = {name: probabilities(samples, name, material.steerer) for name in (first, second)}
    basis = Basis(len(samples), 0, 2 * len(samples), "models")
    sides = [values_side(title_of(name), _on_pair(said[name], samples), cells, basis) for name in (first, second)]
    found = compared(names, sides[0], sides[1], shared=True)
    made = exhibits(found, "probability", "probability of the two wanted feelings", share=True, source="models")
    codes = coded(chosen(material.ratings, "emotion", excluded=material.excluded, sentinels=False), samples["sample_id"])
    counts = vote_counts(codes)
    votes = counts.sum(axis=1)
    if votes.any():
        sides = []
        for name in (first, second):
            known = np.isfinite(said[name]).all(axis=1) & (votes > 0)
            top = np.nan_to_num(said[name]).argmax(axis=1)
            hit = np.where(known, counts[np.arange(len(counts)), top] / np.maximum(votes, 1), np.nan)
            sides.append(values_side(title_of(name), hit, cells, basis))
        found = compared(names, sides[0], sides[1], shared=True)
        source = source_of(material, "people" if material.source == "published" else material.source, "models")
        made += exhibits(found, "votes", "share of an image's votes for its most probable feeling", share=True, source=source)
    return made


def _side_by_side(sides: list[tuple[str, Material, str]], view: View) -> list[Exhibit]:
    """Similarity against distance, (title, material, recogniser) beside each other; nothing where one side has no such pair."""
    drawn, tables = [], []
    for title, material, recogniser in sides:
        table = rated_pairs(material, recogniser).dropna(subset=["similarity", "distance"])
        if table.empty:
            return []
        limit = threshold_of(material, view, recogniser)
        figure = similarity_by_distance(
            table, recogniser=title_of(recogniser), source=material.source, threshold=limit if np.isfinite(limit) else None
        )
        drawn.append((title, figure))
        tables.append(table[["pair_id", "sample_type", "step", "similarity", "distance"]].assign(side=title))
    both = side_by_side(drawn)
    apart = [theme.number(float(table["distance"].corr(table["similarity"]))) if _varies(table) else "–" for table in tables]
    both.layout.meta["says"] = (
        f"How alike people find a pair goes with the distance between its faces: Pearson's r is {apart[0]} for {sides[0][0]} and "
        f"{apart[1]} for {sides[1][0]}."
    )
    return [
        Exhibit(
            "similarity-distance",
            both,
            pd.concat(tables, ignore_index=True),
            "Each mark is a pair: how far apart the recogniser places the faces, how similar people find them. Zooming zooms both.",
        )
    ]


def _varies(table: pd.DataFrame) -> bool:
    return len(table) > 2 and float(table["distance"].std()) > 0 and float(table["similarity"].std()) > 0


def _accepted(material: Material, pairs: pd.DataFrame, recogniser: str, view: View) -> Array:
    column = f"distance_{recogniser}"
    if column not in pairs:
        raise LiminalError(f"{title_of(recogniser)} did not judge these pairs; choose another recogniser.")
    distance = pairs[column].to_numpy(np.float64)
    limit = threshold_of(material, view, recogniser)
    return np.where(np.isfinite(distance), (distance < limit).astype(np.float64), np.nan)


def _pair_names(samples: pd.DataFrame) -> pd.Series[str]:
    first, second = samples["emotion1"], samples["emotion2"]
    return (first.astype(str) + " – " + second.astype(str)).where(first.isin(EMOTIONS) & second.isin(EMOTIONS), "")


def _wanted(samples: pd.DataFrame) -> Array:
    """Places in EMOTIONS of the two wanted feelings (N, 2), -1 where there are none."""
    places = [pd.Index(EMOTIONS).get_indexer(pd.Index(samples[name])) for name in ("emotion1", "emotion2")]
    return np.column_stack(places).astype(np.float64)


def _on_pair(p: Array, samples: pd.DataFrame) -> Array:
    wanted = _wanted(samples).astype(np.intp)
    row = np.arange(len(samples))
    return np.where((wanted >= 0).all(axis=1), p[row, wanted[:, 0]] + p[row, wanted[:, 1]], np.nan)


def _sources(first: Material, second: Material, found: Comparison) -> str:
    return (
        " and ".join(dict.fromkeys([source_of(first, first.source), source_of(second, second.source)]))
        if found.basis.source
        else ""
    )
