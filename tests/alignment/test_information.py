"""Which image is asked about next: it serves what is to be foretold, and needs fewer answers where few images tell anything."""

import numpy as np
import pytest

from core.alignment.observer import EMOTION_COUNT, PersonPrior, fit_person, person_probabilities
from core.alignment.stimulus_choice import choose_next_question, find_images_between
from core.errors import LiminalError


def torn(first, second, count, random):
    """Faces of which the crowd says one or the other of two emotions, more or less evenly."""
    group = np.full((count, EMOTION_COUNT), 0.01)
    group[:, [first, second]] = 0.96 * random.dirichlet([20, 20], count)
    return group


def test_choosing_needs_less_than_half_where_few_faces_tell_anything():
    random = np.random.default_rng(0)
    certain = np.full((240, EMOTION_COUNT), 0.002)
    certain[np.arange(240), random.integers(0, EMOTION_COUNT, 240)] = 0.99
    judged, near = torn(0, 1, 30, random), torn(0, 1, 70, random)
    pool, prior = np.vstack([certain, near]), PersonPrior(bias=0.8)
    names = [str(place) for place in range(len(pool))]
    surprise = {"random": 0.0, "chosen": 0.0}  # above what the person's own truth leaves open, bits a person
    for number in range(12):
        bias = 0.8 * random.normal(size=EMOTION_COUNT)
        person = np.array([0.0, *(bias - bias.mean()), -4.0])
        truth = person_probabilities(person, judged)[0]
        said = np.array([random.choice(EMOTION_COUNT, p=p / p.sum()) for p in person_probabilities(person, pool)[0]])
        for order, answers in (("random", 30), ("chosen", 15)):
            asked = [] if order == "chosen" else random.permutation(len(pool))[:answers].tolist()
            known = fit_person(pool[asked], said[asked], prior)
            while len(asked) < answers:
                name, _ = choose_next_question(known, pool, names, [names[place] for place in asked], targets=near, seed=number)
                asked.append(int(name))
                known = fit_person(pool[asked], said[asked], prior, known)
            guessed = known.probabilities(judged, 64)
            surprise[order] += float((truth * np.log2(truth / guessed)).sum(axis=1).mean())
    assert surprise["chosen"] <= surprise["random"]


def test_what_matters_decides_what_is_asked():
    random = np.random.default_rng(1)
    group = np.vstack([torn(0, 1, 5, random), torn(4, 5, 5, random)])
    names = [f"i{place}" for place in range(10)]
    known = fit_person(group[:0], np.empty(0, int))
    for pair, places in ((("surprise", "fear"), range(5)), (("anger", "sadness"), range(5, 10))):
        targets = find_images_between(group, *pair)
        assert list(targets) == list(places)
        assert choose_next_question(known, group, names, targets=group[targets])[0] in [names[place] for place in places]
    with pytest.raises(LiminalError, match="foretell"):
        choose_next_question(known, group, names, targets=group[:0])
    with pytest.raises(LiminalError, match="itself"):
        find_images_between(group, "fear", "fear")
    with pytest.raises(LiminalError, match="'joy' is no emotion"):
        find_images_between(group, "fear", "joy")
