"""One word for one thing: what samples are called wherever they are shown."""

import dataclasses
import json
import math

import pandas as pd
import pytest

from core.analysis.study_data import load_study_data
from core.figures.identity import name_table_row
from core.sampling.sample_set import make_pair_id
from core.studies.planning import list_stimuli
from tests.ui.study_sets import faces, identity_set, made_study
from tests.ui.visits import app, words
from ui import markup
from ui.analysis.disagreement import describe_sample
from ui.identity.page import _sample_title


def searched_set():
    """An identity set whose last two samples were searched for at 0.5: one found, the other not."""
    made = identity_set(4)
    pairs = made.pairs.copy()
    for row, distance in ((3, 0.44), (4, 0.63)):
        pairs.loc[row, ["sample_type", "strategy"]] = ["optimized", "cmaes"]
        pairs.loc[row, ["step", "distance_dlib"]] = [0.5, distance]
        pairs.loc[row, "pair_id"] = make_pair_id(pairs["base_id"][row], pairs["sample_id"][row], "optimized", 0.5, None)
    return dataclasses.replace(made, pairs=pairs)


def test_a_sample_of_a_search_is_called_the_same_everywhere(place):
    store, library = place
    made = searched_set()
    made_study(store, library, "Mine", made)
    expected = ["optimized: distance 0.44", "best found: distance 0.63"]
    rows = made.pairs.iloc[[3, 4]]
    request = type("Request", (), {"configuration": made.configuration})
    assert [_sample_title(request, made, row) for _, row in rows.iterrows()] == expected
    study = load_study_data(store, library, "Mine")
    table = study.pairs.set_index("pair_id").loc[rows["pair_id"]]
    assert [describe_sample(row) for row in table.to_dict("records")] == expected
    by_name = {each.stimulus: each for each in list_stimuli(made, "set")}
    assert [markup.describe_stimulus(by_name[name]) for name in rows["pair_id"]] == expected


@pytest.mark.parametrize("target", [0.3, 0.5])
def test_where_only_the_target_is_known_it_is_called_that(target):
    assert markup.describe_sample_type("optimized", target) == f"optimized (target {target:g})"
    assert name_table_row("optimized", target) == f"optimized (target {target:g})"
    assert name_table_row("optimized", math.nan) == "optimized"
    assert describe_sample(pd.Series({"sample_type": "optimized", "step": target}).to_dict()) == f"optimized (target {target:g})"


@pytest.mark.parametrize(
    ("distance", "limit", "expected"),
    [
        (0.5996, 0.6, ("0.5996", "0.60", "open")),
        (0.6004, 0.6, ("0.6004", "0.60", "closed")),
        (0.31, 0.6, ("0.31", "0.60", "open")),
        (0.4472, 0.445, ("0.447", "0.445", "closed")),
    ],
)
def test_a_distance_has_as_many_digits_as_its_verdict_needs(distance, limit, expected):
    shown = markup.format_distance(distance, limit), markup.format_limit(limit)
    assert (*shown, markup.judge_distance(distance, limit)) == expected
    assert (float(shown[0]) < float(shown[1])) == (expected[2] == "open")
    said = markup.verdicts_html([markup.RecogniserVerdict("dlib", distance, limit)])
    assert f"distance {shown[0]}, limit {shown[1]}" in said


def test_the_limit_on_a_button_is_the_one_that_is_explained_below_it():
    test = app("phone.py")
    wall = next(json.loads(each.proto.json) for each in test.get("bidi_component") if "marks" in each.proto.json)
    buttons = {markup.format_limit(mark["value"]) for mark in wall["marks"]}
    explained = " ".join(each.value for each in test.markdown)
    assert buttons
    assert all(f"**{limit}**" in explained for limit in buttons)
    assert all("on average" in mark["label"] for mark in wall["marks"] if "lets" in mark["label"])
    assert "averages over all owners" in explained
    assert "two thousand" not in words(test) + words(app())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "identity",
            "It asks about 5 pairs of 5 pictures; 1 of them is an attention check, a base beside itself, which "
            "figures count as genuine.",
        ),
        ("emotion", "It shows {all} faces; {checks} of them {are}, which rankings and figures leave out."),
    ],
)
def test_where_a_number_changes_one_sentence_says_why(place, kind, expected):
    store, library = place
    study = made_study(store, library, "Mine", identity_set(4) if kind == "identity" else faces())
    stimuli = store.stimuli("Mine")
    checks = sum(each.is_sentinel for each in stimuli)
    names = {"all": len(stimuli), "checks": checks, "are": "is an attention check" if checks == 1 else "are attention checks"}
    assert markup.describe_stimuli(study, stimuli) == expected.format(**names)
    assert ("two a pair" in markup.describe_participation(study, 1, 56)) == (kind == "identity")


def test_bars_keep_the_order_that_they_are_given_in():
    shown = markup.bars_html({"surprise": 0.1, "fear": 0.7, "anger": 0.2})
    assert shown.index("surprise") < shown.index("fear") < shown.index("anger")
