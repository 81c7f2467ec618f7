"""Held-out answers never teach: not the group, not the person, in whatever order the rows come."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alignment.configuration import AlignmentConfiguration
from core.alignment.data import DataSplit, choose_held_out, collect_answers, shuffle_answers, split_answers
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from tests.alignment import made_up
from tests.analysis.rating_tables import rows


@st.composite
def tables(draw):
    cells = draw(
        st.lists(
            st.tuples(st.integers(0, 5), st.integers(0, 14), st.sampled_from(EMOTIONS)),
            min_size=8,
            max_size=70,
            unique_by=lambda cell: cell[:2],
        ).filter(lambda found: len({cell[2] for cell in found}) > 1)
    )
    return rows(
        {
            "rater": [f"r{rater}" for rater, _, _ in cells],
            "stimulus": [f"i{image}" for _, image, _ in cells],
            "value": [value for *_, value in cells],
            "task": "emotion",
        }
    )


def split(answers, kind, seed=0):
    configuration = AlignmentConfiguration(split=kind, seed=seed)
    return DataSplit(choose_held_out(answers.images, 0.2, seed, "images"), answers, configuration)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 5), st.sampled_from(["images", "paper"]))
def test_nothing_held_out_is_learned(table, seed, kind):
    answers = collect_answers(table)
    found = split(answers, kind, seed)
    learned, judged = found.group()
    assert set(answers.image[learned]).isdisjoint(answers.image[judged])
    assert sorted([*learned, *judged]) == list(range(len(answers)))
    for rater in answers.raters:
        own, own_judged = found.person(rater)
        others = found.others(rater)
        assert set(own).isdisjoint(own_judged)
        assert set(own) <= set(learned)
        assert not set(answers.rater[others]) & {answers.index_of(rater)}
        assert set(answers.rater[[*own, *own_judged]]) <= {answers.index_of(rater)}
        if kind == "images":  # the default: held-out images enter neither the group's nor the person's training
            assert set(answers.image[own_judged]).isdisjoint(answers.image[learned])
            assert set(answers.image[own_judged]).isdisjoint(answers.image[others])
        else:  # the paper's: a person's held-out images are not those of the group
            assert set(answers.image[own_judged]).isdisjoint(answers.image[judged])


@settings(max_examples=30, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(table, random):
    order = list(range(len(table)))
    random.shuffle(order)
    first, second = collect_answers(table), collect_answers(table.iloc[order])
    assert first.digest == second.digest
    assert np.array_equal(split(first, "images").images, split(second, "images").images)


def test_a_fifth_is_held_out_and_another_seed_holds_out_others():
    names = [f"i{n}" for n in range(200)]
    first, second = choose_held_out(names, 0.2, 0), choose_held_out(names, 0.2, 1)
    assert first.sum() == second.sum() == 40
    assert not np.array_equal(first, second)
    backwards = choose_held_out(names[::-1], 0.2, 0)
    assert np.array_equal(backwards[::-1], first)


def test_shuffling_keeps_every_image_s_votes_and_every_person_s_images():
    answers = collect_answers(made_up.frame())
    mixed = shuffle_answers(answers, 3)
    assert np.array_equal(mixed.counts, answers.counts)
    assert np.array_equal(mixed.image, answers.image)
    assert np.array_equal(mixed.rater, answers.rater)
    assert 0.1 < (mixed.emotion == answers.emotion).mean() < 0.7


def test_answers_that_cannot_change_hands_are_left_out_of_the_control():
    table = made_up.frame(raters=2, images=3)
    alone = table[~((table["rater"] == "r1") & (table["stimulus"] == "i2"))]
    assert len(shuffle_answers(collect_answers(alone), 0)) == 4


def test_too_little_to_learn_from_is_one_sentence():
    table = made_up.frame()
    with pytest.raises(LiminalError, match="at least 200"):
        split_answers(collect_answers(table), AlignmentConfiguration())
    with pytest.raises(LiminalError, match="say 'fear'"):
        collect_answers(table.assign(value="fear"))
    with pytest.raises(LiminalError, match="no answers to learn from"):
        collect_answers(table, excluded=["r0", "r1", "r2", "r3"])
    found = split_answers(collect_answers(table), AlignmentConfiguration(least_answers=10))
    with pytest.raises(LiminalError, match="it takes 500 at least"):
        DataSplit(found.images, found.answers, AlignmentConfiguration(least_own=500)).check_person("r0")
    with pytest.raises(LiminalError, match="'nobody' has given no answer"):
        found.check_person("nobody")
    one = collect_answers(table[(table["rater"] != "r0") | (table["stimulus"] == "i0")])
    kept = DataSplit(~np.isin(one.images, "i0") & False, one, found.configuration)
    with pytest.raises(LiminalError, match="no answers to held-out images"):
        kept.check_person("r0")


def assert_loads_without(modules, libraries):
    code = (
        f"import sys; [__import__('core.alignment.' + name) for name in {modules}]; "
        f"print([name for name in {libraries} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_pages_can_import_what_is_read_without_torch():
    assert_loads_without(
        ["evaluate", "personal", "stimulus_choice", "identity", "store", "data", "alignment", "observer", "pretrained"], ["torch"]
    )


def test_where_alignments_are_stored_is_read_without_pandas():
    assert_loads_without(["store"], ["torch", "pandas", "sqlalchemy"])
