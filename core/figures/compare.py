"""Two studies, sets, groups or models beside each other: both values and their difference, by sample type or pair of emotions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.choices import correct_entropy, count_votes
from core.analysis.comparison import (
    Comparison,
    build_answers_side,
    build_choices_side,
    build_group_cells,
    build_probabilities_side,
    build_values_side,
    compare_sides,
)
from core.analysis.detection import find_majority
from core.analysis.encode import EncodedRatings, encode, select_answers, select_probabilities
from core.analysis.estimate import Array, Basis
from core.analysis.identity_tables import order_sample_types
from core.errors import LiminalError
from core.figures import theme
from core.figures.exhibit import Exhibit, ExhibitView, find_threshold, name_source
from core.figures.identity import build_rated_pairs, plot_similarity_by_distance
from core.figures.two_sides import exhibit_shares, exhibit_sides, place_side_by_side
from core.models import registry
from core.models.emotions import EMOTIONS
from core.studies.ratings import Task

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


BY_TYPE, BY_FEELINGS, BY_IMAGE = "by type of sample", "by pair of feelings", "averaged over images"


def compare_studies(first: StudyData, second: StudyData, titles: tuple[str, str], view: ExhibitView) -> list[Exhibit]:
    """Compare two studies, two sample sets, or the answers of two groups. Raises LiminalError where they ask different things."""
    if first.kind != second.kind:
        raise LiminalError("One asks who it is and the other which feeling it is; choose two of one kind.")
    plans = first.study.plan, second.study.plan
    if plans[0].asks != plans[1].asks or plans[0].choices != plans[1].choices:
        raise LiminalError("People chose among different answers in the two studies; choose two that offer the same ones.")
    exhibits = _compare_own_answers(first, second, titles) if plans[0].asks in ("labels", "scale") else []
    if first.kind == "identity":
        return exhibits + _compare_identity(first, second, titles, view)
    return exhibits + _compare_emotion(first, second, titles)


def _compare_own_answers(first: StudyData, second: StudyData, titles: tuple[str, str]) -> list[Exhibit]:
    """Answers to a question of the studies' own: ratings by type of sample, and the share of each answer."""
    plan, tables = first.study.plan, (first.shown, second.shown)
    shared = set(tables[0]["stimulus"]) == set(tables[1]["stimulus"])
    if shared:
        tables = (tables[0], tables[0])
    sides = tuple(zip((first, second), titles, tables, strict=True))
    codes = [_encode_choices(study_data, table["stimulus"]) for study_data, _, table in sides]
    if not all(len(answers.value) for answers in codes):
        return []
    noun = "pairs" if first.kind == "identity" else "faces"
    exhibits = []
    if plan.asks == "scale":
        order = order_sample_types(name for table in tables for name in table["sample_type"])
        both = [
            build_answers_side(title, replace(answers, value=answers.value + 1), build_group_cells(table["sample_type"], order))
            for answers, (_, title, table) in zip(codes, sides, strict=True)
        ]
        comparison = compare_sides([*order, "all"], both[0], both[1], shared=shared)
        measure = f"mean rating, 1 ({plan.scale_low}) to {plan.scale_points} ({plan.scale_high})"
        source = _join_sources(first, second, comparison)
        exhibits += exhibit_sides(comparison, "rating", measure, share=False, source=source, noun=noun)
    return exhibits + _compare_choices(first, second, titles, codes, shared=shared, noun=noun)


def _encode_choices(study_data: StudyData, images: pd.Series[str]) -> EncodedRatings:
    """The answers to the main question as indices into the plan's choices, attention checks aside."""
    plan = study_data.study.plan
    answers = select_answers(study_data.ratings, plan.main_task, excluded=study_data.excluded, sentinels=False)
    if plan.asks == "scale":
        answers = answers.assign(value=answers["value"].map("{:g}".format))
    return encode(answers, images, plan.choices)


def _compare_choices(
    first: StudyData, second: StudyData, titles: tuple[str, str], codes: list[EncodedRatings], *, shared: bool, noun: str
) -> list[Exhibit]:
    """The share of each answer, and how divided people are over an image."""
    choices = first.study.plan.choices
    both = [build_choices_side(title, answers, len(choices)) for title, answers in zip(titles, codes, strict=True)]
    comparison = compare_sides(choices, both[0], both[1], shared=shared)
    source = _join_sources(first, second, comparison)
    exhibits = exhibit_shares(comparison, "answers", "share of the answers", source=source, noun=noun)
    counts = [count_votes(answers, len(choices)) for answers in codes]
    bits = [np.where(votes.sum(axis=1) > 1, correct_entropy(votes), np.nan) for votes in counts]
    both = [
        build_values_side(title, value, build_group_cells(pd.Series("", answers.images), ()), answers.basis)
        for title, value, answers in zip(titles, bits, codes, strict=True)
    ]
    comparison = compare_sides(["all"], both[0], both[1], shared=shared)
    return exhibits + exhibit_sides(
        comparison, "bits", "how divided people are, bits", share=False, source=source, noun=noun, by=BY_IMAGE
    )


def _compare_identity(first: StudyData, second: StudyData, titles: tuple[str, str], view: ExhibitView) -> list[Exhibit]:
    tables = (first.pairs, second.pairs)
    order = order_sample_types(name for table in tables for name in table["sample_type"])
    shared = set(first.pairs["pair_id"]) == set(second.pairs["pair_id"])
    if shared:
        tables = (first.pairs, first.pairs)
    sides = tuple(zip((first, second), titles, tables, strict=True))
    cells = [build_group_cells(table["sample_type"], order) for table in tables]
    names = [*order, "all"]
    exhibits: list[Exhibit] = []
    questions: tuple[tuple[Task, str, str, bool], ...] = (
        ("identity", "same-person", "share of 'same person'", True),
        ("similarity", "similarity", "rated similarity, 0 to 100", False),
    )
    for task, key, measure, share in questions:
        codes = [encode(select_answers(m.ratings, task, excluded=m.excluded), table["pair_id"]) for m, _, table in sides]
        if all(len(answers.value) for answers in codes):
            both = [
                build_answers_side(title, answers, cell) for (_, title, _), answers, cell in zip(sides, codes, cells, strict=True)
            ]
            comparison = compare_sides(names, both[0], both[1], shared=shared)
            source = _join_sources(first, second, comparison)
            exhibits += exhibit_sides(comparison, key, measure, share=share, source=source, noun="pairs")
    exhibits += _exhibit_side_by_side([(title, study_data, view.recogniser) for study_data, title, _ in sides], view)
    if view.recogniser and not shared and all(view.recogniser in study.thresholds for study in (first, second)):
        both = []
        for (study_data, title, table), cell in zip(sides, cells, strict=True):
            both.append(
                build_values_side(
                    title, _list_accepted(study_data, table, view.recogniser, view), cell, Basis(len(table), 0, 0, "models")
                )
            )
        comparison = compare_sides(names, both[0], both[1], shared=False)
        measure = f"share accepted by {registry.title(view.recogniser)}"
        exhibits += exhibit_sides(comparison, "accepted", measure, share=True, source="models", noun="pairs")
    return exhibits


def _compare_emotion(first: StudyData, second: StudyData, titles: tuple[str, str]) -> list[Exhibit]:
    sides = tuple(zip((first, second), titles, strict=True))
    made = [_select_between_feelings(study_data.asked) for study_data in (first, second)]
    wanted = all(len(table) for table in made)  # own pictures were made between no two feelings
    tables = made if wanted else [first.asked, second.asked]
    shared = set(tables[0]["sample_id"]) == set(tables[1]["sample_id"])
    if shared:
        tables = [tables[0], tables[0]]
    pairs = [_name_pairs(table) for table in tables]
    order = [name for name in dict.fromkeys([*pairs[0], *pairs[1]]) if name and all((names == name).any() for names in pairs)]
    cells = [build_group_cells(names_of_pairs, order) for names_of_pairs in pairs]
    names = [*order, "all"]
    codes = [
        encode(select_answers(study_data.ratings, "emotion", excluded=study_data.excluded, sentinels=False), table["sample_id"])
        for study_data, table in zip((first, second), tables, strict=True)
    ]
    exhibits: list[Exhibit] = []
    if all(len(answers.value) for answers in codes):
        if not wanted:
            exhibits += _compare_choices(first, second, titles, codes, shared=shared, noun="faces")
        else:
            both = [
                build_answers_side(title, _mark_wanted(answers, table), cell)
                for answers, table, title, cell in zip(codes, tables, titles, cells, strict=True)
            ]
            comparison = compare_sides(names, both[0], both[1], shared=shared)
            source = _join_sources(first, second, comparison)
            measure = "votes for one of the two wanted feelings"
            exhibits += exhibit_sides(comparison, "wanted", measure, share=True, source=source, noun="faces", by=BY_FEELINGS)
            counts = [count_votes(answers) for answers in codes]
            bits = [np.where(votes.sum(axis=1) > 1, correct_entropy(votes), np.nan) for votes in counts]
            both = [
                build_values_side(title, value, cell, answers.basis)
                for title, value, cell, answers in zip(titles, bits, cells, codes, strict=True)
            ]
            comparison = compare_sides(names, both[0], both[1], shared=shared)
            measure = "how divided people are, bits"
            exhibits += exhibit_sides(comparison, "bits", measure, share=False, source=source, noun="faces", by=BY_FEELINGS)
    known = [name for name in first.classifiers if name in second.classifiers]
    if not shared and known:
        title = registry.title(known[-1])
        shares = [
            select_probabilities(table, known[-1], study_data.steerer) for (study_data, _), table in zip(sides, tables, strict=True)
        ]
        basis = [Basis(len(table), 0, 0, "models") for table in tables]
        if wanted:
            both = [
                build_values_side(side, _sum_pair_shares(p, table), cell, of)
                for (_, side), p, table, cell, of in zip(sides, shares, tables, cells, basis, strict=True)
            ]
            comparison = compare_sides(names, both[0], both[1], shared=False)
            measure = f"probability of the two feelings by {title}"
            exhibits += exhibit_sides(comparison, "probability", measure, share=True, source="models", noun="faces", by=BY_FEELINGS)
        else:
            both = [build_probabilities_side(side, p, of) for (_, side), p, of in zip(sides, shares, basis, strict=True)]
            comparison = compare_sides(EMOTIONS, both[0], both[1], shared=False)
            exhibits += exhibit_shares(comparison, "feelings", f"mean probability by {title}", source="models", noun="faces")
    return exhibits


def compare_models(study_data: StudyData, first: str, second: str, view: ExhibitView) -> list[Exhibit]:
    """Compare two recognisers or two classifiers on the same images. Raises LiminalError for one that did not judge them."""
    return (
        _compare_recognisers(study_data, first, second, view)
        if study_data.kind == "identity"
        else _compare_classifiers(study_data, first, second)
    )


def compare_people(study_data: StudyData, model: str, view: ExhibitView) -> list[Exhibit]:
    """Compare the people of a study with one recogniser or classifier on the same images; nothing where nobody answered.

    Raises LiminalError for one that did not judge them, and where people chose among other answers than it gives.
    """
    identity, plan = study_data.kind == "identity", study_data.study.plan
    if plan.asks not in ("identity", "emotion"):
        says = "accepts a pair or refuses it" if identity else "chooses among six feelings"
        raise LiminalError(
            f"People gave answers of this study's own, and a network {says}, so that the two cannot be set side by side; compare "
            "two models, two groups of people, or two studies."
        )
    people = "Simulated observers" if study_data.source == "simulated" else "People"
    made = study_data.pairs if identity else _select_between_feelings(study_data.asked)
    wanted = bool(len(made))  # own pictures were made between no two feelings
    table = made if identity or wanted else study_data.asked
    answers = select_answers(study_data.ratings, plan.main_task, excluded=study_data.excluded, sentinels=identity)
    codes = encode(answers, table["pair_id" if identity else "sample_id"])
    if not len(codes.value):
        return []
    title, basis = registry.title(model), Basis(len(table), 0, len(table), "models")
    source = name_source(study_data, study_data.source, "models")
    if not identity and not wanted:
        p = select_probabilities(table, model, study_data.steerer)
        shares = build_choices_side(people, codes, len(EMOTIONS)), build_probabilities_side(title, p, basis)
        comparison = compare_sides(EMOTIONS, *shares, shared=True)
        return exhibit_shares(comparison, "feelings", "share of votes, and mean probability", source=source, noun="faces")
    groups = table["sample_type"] if identity else _name_pairs(table)
    order = order_sample_types(groups) if identity else list(dict.fromkeys(groups))
    cells = build_group_cells(groups, order)
    if identity:
        values, key, measure = _list_accepted(study_data, table, model, view), "one-person", "share taken for one person"
    else:
        codes = _mark_wanted(codes, table)
        values = _sum_pair_shares(select_probabilities(table, model, study_data.steerer), table)
        key, measure = "wanted", "share for one of the two wanted feelings: votes, and probability"
    sides = build_answers_side(people, codes, cells), build_values_side(title, values, cells, basis)
    comparison = compare_sides([*order, "all"], *sides, shared=True)
    noun, by = ("pairs", BY_TYPE) if identity else ("faces", BY_FEELINGS)
    return exhibit_sides(comparison, key, measure, share=True, source=source, noun=noun, by=by)


def _compare_recognisers(study_data: StudyData, first: str, second: str, view: ExhibitView) -> list[Exhibit]:
    pairs = study_data.pairs
    order = order_sample_types(pairs["sample_type"])
    cells, names = build_group_cells(pairs["sample_type"], order), [*order, "all"]
    accepted = {name: _list_accepted(study_data, pairs, name, view) for name in (first, second)}
    basis = Basis(len(pairs), 0, 2 * len(pairs), "models")
    sides = [build_values_side(registry.title(name), accepted[name], cells, basis) for name in (first, second)]
    comparison = compare_sides(names, sides[0], sides[1], shared=True)
    exhibits = exhibit_sides(comparison, "accepted", "share accepted", share=True, source="models", noun="pairs")
    exhibits += _exhibit_side_by_side([(registry.title(name), study_data, name) for name in (first, second)], view)
    most, _ = find_majority(select_answers(study_data.ratings, "identity", excluded=study_data.excluded), pairs["pair_id"])
    if np.isfinite(most).any():
        agree = {
            name: np.where(np.isfinite(most) & np.isfinite(accepted[name]), (accepted[name] == most).astype(np.float64), np.nan)
            for name in (first, second)
        }
        sides = [build_values_side(registry.title(name), agree[name], cells, basis) for name in (first, second)]
        source = name_source(study_data, "people" if study_data.source == "published" else study_data.source, "models")
        comparison = compare_sides(names, sides[0], sides[1], shared=True)
        measure = "pairs on which it agrees with most people"
        exhibits += exhibit_sides(comparison, "agreement", measure, share=True, source=source, noun="pairs")
    return exhibits


def _compare_classifiers(study_data: StudyData, first: str, second: str) -> list[Exhibit]:
    made = _select_between_feelings(study_data.asked)
    samples = made if len(made) else study_data.asked  # own pictures were made between no two feelings
    pairs = _name_pairs(samples)
    order = [name for name in dict.fromkeys(pairs) if name]
    cells, names = build_group_cells(pairs, order), [*order, "all"]
    probabilities = {name: select_probabilities(samples, name, study_data.steerer) for name in (first, second)}
    basis = Basis(len(samples), 0, 2 * len(samples), "models")
    if len(made):
        sides = [
            build_values_side(registry.title(name), _sum_pair_shares(probabilities[name], samples), cells, basis)
            for name in (first, second)
        ]
        comparison = compare_sides(names, sides[0], sides[1], shared=True)
        measure = "probability of the two wanted feelings"
        exhibits = exhibit_sides(comparison, "probability", measure, share=True, source="models", noun="faces", by=BY_FEELINGS)
    else:
        sides = [build_probabilities_side(registry.title(name), probabilities[name], basis) for name in (first, second)]
        comparison = compare_sides(EMOTIONS, sides[0], sides[1], shared=True)
        exhibits = exhibit_shares(comparison, "feelings", "mean probability", source="models", noun="faces")
    codes = encode(
        select_answers(study_data.ratings, "emotion", excluded=study_data.excluded, sentinels=False), samples["sample_id"]
    )
    counts = count_votes(codes)
    votes = counts.sum(axis=1)
    if votes.any():
        sides = []
        for name in (first, second):
            known = np.isfinite(probabilities[name]).all(axis=1) & (votes > 0)
            top = np.nan_to_num(probabilities[name]).argmax(axis=1)
            hit = np.where(known, counts[np.arange(len(counts)), top] / np.maximum(votes, 1), np.nan)
            sides.append(build_values_side(registry.title(name), hit, cells, basis))
        comparison = compare_sides(names, sides[0], sides[1], shared=True)
        source = name_source(study_data, "people" if study_data.source == "published" else study_data.source, "models")
        measure = "share of an image's votes for its most probable feeling"
        by = BY_FEELINGS if len(made) else BY_IMAGE
        exhibits += exhibit_sides(comparison, "votes", measure, share=True, source=source, noun="faces", by=by)
    return exhibits


def _exhibit_side_by_side(sides: list[tuple[str, StudyData, str]], view: ExhibitView) -> list[Exhibit]:
    """Similarity against distance of two (title, study data, recogniser) beside each other; nothing where one side has no pair."""
    drawn, tables = [], []
    for title, study_data, recogniser in sides:
        table = build_rated_pairs(study_data, recogniser).dropna(subset=["similarity", "distance"])
        if table.empty:
            return []
        limit = find_threshold(study_data, view, recogniser)
        figure = plot_similarity_by_distance(
            table, recogniser=registry.title(recogniser), source=study_data.source, threshold=limit if np.isfinite(limit) else None
        )
        drawn.append((title, figure))
        tables.append(table[["pair_id", "sample_type", "step", "similarity", "distance"]].assign(side=title))
    both = place_side_by_side(drawn)
    apart = [theme.format_number(float(table["distance"].corr(table["similarity"]))) if _varies(table) else "–" for table in tables]
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


def _list_accepted(study_data: StudyData, pairs: pd.DataFrame, recogniser: str, view: ExhibitView) -> Array:
    column = f"distance_{recogniser}"
    if column not in pairs:
        raise LiminalError(f"{registry.title(recogniser)} did not judge these pairs; choose another recogniser.")
    distance = pairs[column].to_numpy(np.float64)
    limit = find_threshold(study_data, view, recogniser)
    return np.where(np.isfinite(distance), (distance < limit).astype(np.float64), np.nan)


def _name_pairs(samples: pd.DataFrame) -> pd.Series[str]:
    first, second = samples["emotion1"], samples["emotion2"]
    return (first.astype(str) + " – " + second.astype(str)).where(first.isin(EMOTIONS) & second.isin(EMOTIONS), "")


def _select_between_feelings(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples that were made between two feelings."""
    return samples[(_name_pairs(samples) != "").to_numpy(bool)].reset_index(drop=True)


def _mark_wanted(codes: EncodedRatings, samples: pd.DataFrame) -> EncodedRatings:
    """The answers as 1 where they name one of the two feelings that the image was made between, else 0."""
    wanted = _find_emotions(samples)[codes.image]
    return replace(codes, value=(wanted == codes.value[:, None]).any(axis=1).astype(np.float64))


def _find_emotions(samples: pd.DataFrame) -> Array:
    """Indices in EMOTIONS of the two wanted emotions (N, 2), -1 where there are none."""
    places = [pd.Index(EMOTIONS).get_indexer(pd.Index(samples[name])) for name in ("emotion1", "emotion2")]
    return np.column_stack(places).astype(np.float64)


def _sum_pair_shares(p: Array, samples: pd.DataFrame) -> Array:
    wanted = _find_emotions(samples).astype(np.intp)
    row = np.arange(len(samples))
    return np.where((wanted >= 0).all(axis=1), p[row, wanted[:, 0]] + p[row, wanted[:, 1]], np.nan)


def _join_sources(first: StudyData, second: StudyData, comparison: Comparison) -> str:
    return (
        " and ".join(dict.fromkeys([name_source(first, first.source), name_source(second, second.source)]))
        if comparison.basis.source
        else ""
    )
