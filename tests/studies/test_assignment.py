from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LiminalError
from core.studies.planning import assign_stimuli, stimulus_stratum
from core.studies.study import RatingPlan, Stimulus, Study


def stimuli_in(sizes, checks):
    """Batches of these sizes, each with so many genuine pairs."""
    found = []
    for batch, size in enumerate(sizes):
        for index in range(size + checks):
            genuine = index >= size
            found.append(
                Stimulus(
                    f"{batch}-{index}", ("a", "b"), is_sentinel=genuine, expected="1" if genuine else "", details={"batch": batch}
                )
            )
    return found


def study(trials, sentinels, seed=0):
    return Study("A study", RatingPlan("identity", trials, sentinels, seed))


def enrolled(asked, stimuli, raters):
    """What the store does: each rater is assigned with the counts of those before."""
    counts, orders = Counter(), []
    for number in range(raters):
        orders.append(assign_stimuli(asked, stimuli, counts, number))
        counts.update(orders[-1])
    return counts, orders


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(1, 30),
    st.integers(0, 6),
    st.integers(1, 14),
    st.integers(0, 99),
)
def test_votes_are_balanced_within_a_stratum_after_any_number_of_raters(sizes, checks, trials, sentinels, raters, seed):
    stimuli = stimuli_in(sizes, checks)
    counts, orders = enrolled(study(trials, sentinels, seed), stimuli, raters)
    by_stratum: dict[str, list[int]] = {}
    for each in stimuli:
        if not each.is_sentinel:
            by_stratum.setdefault(stimulus_stratum(each), []).append(counts[each.stimulus])
    assert all(max(group) - min(group) <= 1 for group in by_stratum.values())
    available = sum(each.is_sentinel for each in stimuli)
    for order in orders:
        assert len(order) == len(set(order)) == min(trials, sum(sizes)) + min(sentinels, available)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 25))
def test_emotion_images_are_one_stratum(images, trials, raters):
    stimuli = [Stimulus(str(index), (str(index),)) for index in range(images)]
    counts, _ = enrolled(Study("A study", RatingPlan("emotion", trials)), stimuli, raters)
    votes = [counts[each.stimulus] for each in stimuli]
    assert max(votes) - min(votes) <= 1


def test_a_rater_gets_one_whole_batch_with_its_own_genuine_pairs_and_batches_take_turns():
    stimuli = stimuli_in([12, 12, 12], 4)
    _, orders = enrolled(study(12, 4), stimuli, 9)
    batches = [{name.split("-")[0] for name in order} for order in orders]
    assert all(len(each) == 1 for each in batches)
    assert Counter(next(iter(each)) for each in batches) == {"0": 3, "1": 3, "2": 3}


def test_the_same_seed_and_number_give_the_same_order_and_others_another():
    stimuli = stimuli_in([30], 4)
    first = assign_stimuli(study(30, 4), stimuli, {}, 5)
    assert assign_stimuli(study(30, 4), stimuli, {}, 5) == first
    assert assign_stimuli(study(30, 4), stimuli, {}, 6) != first
    assert assign_stimuli(study(30, 4, seed=1), stimuli, {}, 5) != first


def test_sentinels_are_spread_over_the_order():
    stimuli = stimuli_in([90], 10)
    checks = {each.stimulus for each in stimuli if each.is_sentinel}
    seen = []
    for number in range(40):
        places = [place for place, name in enumerate(assign_stimuli(study(90, 10), stimuli, {}, number)) if name in checks]
        assert [place // 10 for place in places] == list(range(10))  # one in every tenth
        seen += [place % 10 for place in places]
    assert set(seen) == set(range(10))  # anywhere within it
    assert abs(np.mean(seen) - 4.5) < 0.6


def test_a_study_without_stimuli_is_a_sentence():
    with pytest.raises(LiminalError, match="nothing to ask about"):
        assign_stimuli(study(3, 0), [], {}, 0)
