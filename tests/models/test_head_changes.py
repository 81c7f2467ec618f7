"""Changes of single named latents in words."""

import numpy as np
import pytest

from core.errors import LiminalError
from core.models.builtin.head.changes import INDEX, explain_change, list_changeable_latents
from core.models.builtin.head.latents import LATENT_DIM, set_named_value
from core.sampling.stored.directions import find_directions, has_directions

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
    with pytest.raises(LiminalError, match="did you mean head_turn"):
        explain_change(REST, REST, "head_trun")


def test_a_value_at_the_end_of_its_range_has_not_changed():
    lower = REST.copy()
    lower[INDEX["happiness"]] = -3
    assert explain_change(REST, lower, "happiness") == ""


def test_changes_are_those_that_one_person_can_make():
    names = set(list_changeable_latents())
    assert {"head_turn", "glasses", "beard", "hair_bob", "happiness", "lipstick", "light_side"} <= names
    assert not names & {"age", "femininity", "muscle", "framing", "ancestry_1", "glasses_width"}
    directions = find_directions("head", every=True)
    assert [direction.name for direction in directions] == list_changeable_latents()
    assert all(np.count_nonzero(direction.vector) == 1 for direction in directions)
    assert has_directions("head")
    assert len(find_directions("dcgan")) == 6
