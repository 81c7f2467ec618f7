"""Images that a person and the crowd see differently."""

import numpy as np
import pytest
import torch

from core.alignment.observer import EMOTION_COUNT, fit_person, person_probabilities
from core.alignment.stimulus_choice import person_log_probabilities, rank_controversial


def test_images_that_are_answered_differently_come_first():
    group = np.full((3, EMOTION_COUNT), 0.02)
    group[0, 1], group[1, 0], group[2, 3] = 0.9, 0.9, 0.9
    own = group.copy()
    own[1, [0, 1]] = own[1, [1, 0]]  # the crowd says surprise, this person fear
    own[2, 3] = 0.5
    own[2, 4] = 0.42
    table = rank_controversial(["a", "b", "c"], own, group)
    assert list(table["stimulus"]) == ["b", "c", "a"]
    assert (table.loc[0, "you"], table.loc[0, "most"]) == ("fear", "surprise")
    assert table.loc[0, "score"] == pytest.approx(0.9)
    assert (table["score"] == 0).sum() == 2


def test_the_search_and_the_profile_mean_the_same_person():
    random = np.random.default_rng(0)
    group = random.dirichlet(np.ones(EMOTION_COUNT), size=40)
    known = fit_person(group, random.integers(0, EMOTION_COUNT, 40))
    said = person_log_probabilities(known, torch.from_numpy(group).log()).exp().numpy()
    assert said == pytest.approx(person_probabilities(known.mode[None], group)[0], abs=1e-3)
