"""Changes of single named latents in words."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from core.errors import LiminalError
from core.models.builtin.head.changes import INDEX, explain_change, list_changeable_latents
from core.models.builtin.head.latents import LATENT_DIM, set_named_value
from core.sampling.stored.directions import (
    describe_semantic,
    find_directions,
    has_directions,
    list_action_changes,
    make_semantic_steps,
)

REST = np.zeros(LATENT_DIM, np.float32)


def changed(**values):
    latent = REST
    for name, value in values.items():
        latent = set_named_value(latent, name, value)
    return latent


def test_words_say_what_changed_and_by_how_much():
    straight = changed(head_turn=0.0)
    assert explain_change(straight, changed(head_turn=31.0), "head_turn") == "the head turned to the right by 31 degrees"
    assert explain_change(straight, changed(head_turn=-12.0), "head_turn") == "the head turned to the left by 12 degrees"
    assert explain_change(changed(glasses=0.0), changed(glasses=1.0), "glasses") == "with glasses"
    assert explain_change(changed(happiness=0.0), changed(happiness=0.7), "happiness").startswith("showing more happiness")
    assert explain_change(changed(age=30.0), changed(age=62.0), "age") == "32 years older (62 instead of 30)"
    assert explain_change(changed(beard=0.8), changed(beard=0.0), "beard") == "shaven"
    with pytest.raises(LiminalError, match="did you mean head_turn"):
        explain_change(REST, REST, "head_trun")


def test_a_value_at_the_end_of_its_range_has_not_changed():
    lower = REST.copy()
    lower[INDEX["happiness"]] = -3
    assert explain_change(REST, lower, "happiness") == ""
    steps = make_semantic_steps(REST, SimpleNamespace(name="head", step_scale=math.sqrt(LATENT_DIM)))
    labels = [step.label for step in steps]
    assert "happiness+" in labels
    assert "happiness-" not in labels
    for step in steps:
        assert np.flatnonzero(step.latent != REST).tolist() == [INDEX[step.direction]]
        assert describe_semantic(step.label, "head", REST, step.latent) == step.words


def test_changes_are_those_that_one_person_can_make():
    names = set(list_changeable_latents())
    assert {"head_turn", "glasses", "beard", "hair_bob", "happiness", "lipstick", "light_side"} <= names
    assert not names & {"age", "femininity", "muscle", "framing", "ancestry_1", "glasses_width"}
    directions = find_directions("head", every=True)
    assert [direction.name for direction in directions] == list_changeable_latents()
    assert all(np.count_nonzero(direction.vector) == 1 for direction in directions)
    assert has_directions("head")
    assert len(find_directions("dcgan")) == 6


def test_facial_actions_that_differ_are_listed_largest_first():
    changes = list_action_changes("head", changed(smile=0.1), changed(smile=0.7, jaw_open=0.3))
    assert [(change.words, round(change.difference, 2)) for change in changes] == [
        ("corners of the mouth drawn up", 0.6),
        ("mouth open", 0.3),
        ("cheeks raised", 0.21),  # a smile raises them by 0.35 of itself
    ]
    assert list_action_changes("head", REST, REST) == ()
    assert list_action_changes("dcgan-sharp", np.zeros(100, np.float32), np.ones(100, np.float32)) == ()
