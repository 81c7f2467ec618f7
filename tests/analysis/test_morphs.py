"""Faces between two owners: planted distances and answers give the rates that the definition asks for."""

import numpy as np
import pandas as pd
import pytest

from core.analysis.morphs import find_morphs, rate_people, rate_recogniser
from core.errors import LiminalError
from core.sampling.sample_set import PAIR_COLUMNS, make_table
from tests.analysis.rating_tables import rows as rate

LIMIT = 0.6


def way(first, second, sample, step, to_first, to_second):
    """One morph as it stands in a table: a sample of both ends."""
    common = {"batch": 0, "sample_id": sample, "sample_type": "interpolation", "direction": None, "strategy": None}
    common |= {"lpips": 0.1, "latent_distance": 1.0}
    return [
        {**common, "pair_id": f"{sample}-{first}", "base_id": first, "partner_id": second, "step": step, "distance_dlib": to_first},
        {
            **common,
            "pair_id": f"{sample}-{second}",
            "base_id": second,
            "partner_id": first,
            "step": round(1 - step, 6),
            "distance_dlib": to_second,
        },
    ]


def planted():
    rows = way("a", "b", "half-1", 0.5, 0.5, 0.55)  # opens both
    rows += way("c", "d", "half-2", 0.5, 0.5, 0.7)  # opens one
    rows += way("e", "f", "half-3", 0.5, 0.4, np.nan)  # no face found
    rows += way("a", "b", "third-1", 0.3, 0.2, 0.59)
    rows += way("b", "a", "third-2", 0.3, 0.2, 0.61)
    rows += way("g", "h", "alone", 0.5, 0.1, 0.1)[:1]  # judged against one end
    return make_table(rows, PAIR_COLUMNS)


def test_a_morph_opens_both_where_the_larger_distance_lies_within():
    morphs = find_morphs(planted())
    assert sorted(morphs["sample_id"]) == ["half-1", "half-2", "half-3", "third-1", "third-2"]
    third, half = rate_recogniser(morphs, "dlib", LIMIT)
    assert (third.step, third.morphs, third.owners, third.both.value) == (0.3, 2, 1, 0.5)
    assert (half.step, half.morphs, half.owners, half.no_face) == (0.5, 3, 3, 1)
    assert half.both.value == pytest.approx(1 / 3)
    assert rate_recogniser(morphs, "dlib", 0.1)[0].both.value == 0


def test_people_count_where_the_majority_takes_a_face_for_both():
    answers = {"half-1-a": (1, 1, 0), "half-1-b": (1, 1, 1), "half-2-c": (1, 1, 1), "half-2-d": (0, 0, 1), "half-3-e": (1, 1, 1)}
    given = [(f"r{rater}", pair, str(value)) for pair, values in answers.items() for rater, value in enumerate(values)]
    raters, stimuli, values = zip(*given, strict=True)
    ratings = rate({"rater": list(raters), "stimulus": list(stimuli), "task": "identity", "value": list(values)})
    (half,) = rate_people(find_morphs(planted()), ratings)
    assert (half.who, half.morphs, half.both.value) == ("people", 2, 0.5)
    assert rate_people(find_morphs(planted()), ratings.head(3)) == []


def test_a_planted_rate_lies_in_its_interval():
    random = np.random.default_rng(0)
    opens = random.uniform(size=60) < 0.4
    rows = [
        row
        for place, both in enumerate(opens)
        for row in way(f"a{place}", f"b{place}", f"m{place}", 0.5, 0.5, 0.5 if both else 0.9)
    ]
    (half,) = rate_recogniser(find_morphs(make_table(rows, PAIR_COLUMNS)), "dlib", LIMIT)
    assert half.both.low < 0.4 < half.both.high
    assert half.both.high - half.both.low < 0.3


def test_without_morphs_there_is_a_sentence():
    pairs = make_table(way("a", "b", "alone", 0.5, 0.1, 0.1)[:1], PAIR_COLUMNS)
    with pytest.raises(LiminalError, match="generate morphs"):
        rate_recogniser(find_morphs(pairs), "dlib", LIMIT)
    assert find_morphs(pd.DataFrame(columns=[*PAIR_COLUMNS, "distance_dlib"])).empty
