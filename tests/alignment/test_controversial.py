"""Images that a person and the crowd see differently."""

import numpy as np
import pytest
import torch

from core.alignment.observer import EMOTION_COUNT, PARAMETER_COUNT, fit_person, person_probabilities
from core.alignment.stimulus_choice import (
    build_controversial_set,
    person_log_probabilities,
    rank_controversial,
    tell_apart,
)
from core.errors import LiminalError
from core.models.emotions import EMOTIONS


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


def lean(toward, away, strength=1.6):
    """Parameters of a person who names one emotion rather than another."""
    parameters = np.zeros(PARAMETER_COUNT)
    parameters[1 + EMOTIONS.index(toward)], parameters[1 + EMOTIONS.index(away)] = strength, -strength
    parameters[-1] = np.log(0.02 / 0.98)
    return parameters


def answered(random, parameters, group):
    p = person_probabilities(parameters[None], group)[0]
    return (p.cumsum(axis=1) > random.uniform(size=(len(p), 1))).argmax(axis=1)


def test_two_people_with_opposite_biases_are_told_apart_by_the_faces_chosen_for_them():
    """Planted: one says fear where the other says surprise. Their models are learned from 60 answers each; at the 24 faces on which
    these part most, a single answer tells whose it is in at least four of five, and much oftener than at faces at random."""
    random = np.random.default_rng(7)
    truths = lean("fear", "surprise"), lean("surprise", "fear")
    seen = random.dirichlet(np.full(EMOTION_COUNT, 0.5), size=60)
    first, second = (fit_person(seen, answered(random, truth, seen)) for truth in truths)
    pool = random.dirichlet(np.full(EMOTION_COUNT, 0.5), size=1500)
    guesses = [person_probabilities(posterior.mode[None], pool)[0] for posterior in (first, second)]
    table = rank_controversial([str(row) for row in range(len(pool))], *guesses)
    assert set(table.head(24)["you"]) == {"fear"}
    assert set(table.head(24)["most"]) == {"surprise"}
    right = {}
    for words, rows in (("chosen", table["stimulus"].head(24).astype(int).to_numpy()), ("random", random.permutation(1500)[:400])):
        told = [tell_apart(answered(random, truth, pool[rows]), guesses[0][rows], guesses[1][rows]) for truth in truths]
        right[words] = (told[0].mean() + (~told[1]).mean()) / 2
    assert right["chosen"] >= 0.8
    assert right["chosen"] > right["random"] + 0.1


def test_there_is_no_study_of_no_faces():
    with pytest.raises(LiminalError, match="make some first"):
        build_controversial_set([], "head")
