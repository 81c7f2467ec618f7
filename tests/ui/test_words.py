"""One word for one thing: what samples are called wherever they are shown."""

import dataclasses
import math

import pandas as pd
import pytest

from core.analysis.study_data import load_study_data
from core.figures.identity import name_table_row
from core.sampling.sample_set import make_pair_id
from core.studies.planning import list_stimuli
from tests.ui.study_sets import identity_set, made_study
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
    expected = ["optimized to 0.44", "best found, 0.63"]
    rows = made.pairs.iloc[[3, 4]]
    request = type("Request", (), {"configuration": made.configuration})
    assert [_sample_title(request, row) for _, row in rows.iterrows()] == expected
    study = load_study_data(store, library, "Mine")
    table = study.pairs.set_index("pair_id").loc[rows["pair_id"]]
    assert [describe_sample(row) for row in table.to_dict("records")] == expected
    by_name = {each.stimulus: each for each in list_stimuli(made, "set")}
    assert [markup.describe_stimulus(by_name[name]) for name in rows["pair_id"]] == expected


@pytest.mark.parametrize("target", [0.3, 0.5])
def test_where_only_the_target_is_known_it_is_called_that(target):
    assert markup.describe_sample_type("optimized", target) == f"optimized, target {target:g}"
    assert name_table_row("optimized", target) == f"optimized, target {target:g}"
    assert name_table_row("optimized", math.nan) == "optimized"
    assert describe_sample(pd.Series({"sample_type": "optimized", "step": target}).to_dict()) == f"optimized, target {target:g}"
