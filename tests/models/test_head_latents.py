"""Named latents of the head: exact inverses, continuity, adults only, and one sentence for what is none."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from core.errors import LiminalError
from core.models.builtin.head.description import HeadDescription
from core.models.builtin.head.expression import FEELING_ACTIONS
from core.models.builtin.head.latents import (
    BLOCKS,
    FEELINGS,
    INDEX,
    LATENT_DIM,
    LATENTS,
    block,
    check_latent,
    find_traits,
    named_values,
    set_named_value,
)
from core.models.builtin.head.people import describe


def draw(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(LATENT_DIM).astype(np.float32)


def test_blocks_follow_each_other_and_names_are_unique():
    assert len(INDEX) == LATENT_DIM
    assert 200 <= LATENT_DIM <= 245
    places = np.concatenate([np.arange(LATENT_DIM)[block(name)] for name in BLOCKS])
    assert (places == np.arange(LATENT_DIM)).all()
    assert set(FEELINGS) == set(FEELING_ACTIONS)
    assert all(named.meaning and named.unit for named in LATENTS)
    with pytest.raises(LiminalError, match="no block of latents called 'hair'"):
        block("hair")


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.9, 1.0])
def test_a_value_that_was_set_is_read_back(share):
    latent = draw(1)
    before = named_values(latent)
    for index, named in enumerate(LATENTS):
        low, high = named.curve.low, named.curve.high
        wanted = min(low + share * (high - low), high)
        changed = set_named_value(latent, named.name, wanted)
        assert named_values(changed)[named.name] == pytest.approx(wanted, abs=2e-5 * (high - low)), named.name
        assert (np.delete(changed, index) == np.delete(latent, index)).all()
        check_latent(changed)  # the ends of a range are within what a latent may be
        assert set_named_value(latent, named.name, before[named.name]).tobytes() == latent.tobytes()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_values_rise_with_their_latent_and_stay_in_range(seed):
    latent = draw(seed)
    traits = find_traits(latent)
    for named in LATENTS:
        values = np.array([named.value(number, traits) for number in np.linspace(-50, 50, 401)])
        assert (np.diff(values) >= -1e-12).all(), named.name
        assert values.min() >= named.curve.low - 1e-9
        assert values.max() <= named.curve.high + 1e-9


def test_everything_in_a_description_is_continuous():
    """Between neighbours of a line that is cut eight times finer, no field moves by more than half as far: nothing jumps."""
    ends = draw(3), draw(4)

    def widest(count: int) -> dict[str, float]:
        rows = [describe(ends[0] + (ends[1] - ends[0]) * np.float32(share)) for share in np.linspace(0, 1, count)]
        return {
            entry.name: float(np.abs(np.diff([getattr(row, entry.name) for row in rows], axis=0)).max())
            for entry in fields(HeadDescription)
        }

    coarse, fine = widest(101), widest(801)
    jumping = [name for name, step in fine.items() if step > 0.5 * coarse[name] and step > 1e-5]
    assert jumping == []


def test_adults_only_however_far_out():
    for number in (-50.0, -3.0, 0.0, 3.0, 50.0):
        latent = draw(5)
        latent[INDEX["age"]] = number
        assert 18 <= named_values(latent)["age"] <= 80
        assert 0 <= describe(latent).age <= 1


def test_a_face_without_expression_shows_no_feeling_and_most_show_at_most_two():
    plain = np.zeros(LATENT_DIM, np.float32)
    assert all(named_values(plain)[feeling] == 0 for feeling in FEELINGS)
    counts = np.array([sum(named_values(draw(seed))[feeling] > 0 for feeling in FEELINGS) for seed in range(200)])
    assert 0.2 < (counts == 0).mean() < 0.5
    assert (counts <= 2).mean() > 0.85


def test_hair_is_mostly_of_two_styles_and_glasses_are_in_about_a_third():
    people = [describe(draw(seed)) for seed in range(300)]
    styles = np.array([np.append(person.styles, 1 - person.styles.sum()) for person in people])
    assert styles.min() > -1e-6
    assert np.sort(styles, axis=1)[:, -2:].sum(axis=1).mean() > 0.6
    assert (styles.max(axis=1) > 0.5).mean() > 0.2
    assert (styles.max(axis=0) > 0.5).all()  # every style and baldness occur
    assert 0.25 < np.mean([person.glasses > 0.5 for person in people]) < 0.42
    assert 0.02 < np.mean([person.hat > 0.5 for person in people]) < 0.12


def test_what_goes_with_age_and_gender_follows_them():
    def many(name: str, femininity: float, age: float) -> float:
        found = []
        for seed in range(60):
            latent = set_named_value(set_named_value(draw(seed), "femininity", femininity), "age", age)
            found.append(named_values(latent)[name])
        return float(np.mean(found))

    assert many("hair_grey", 0.1, 75) > 0.6 > 0.2 > many("hair_grey", 0.1, 30)
    assert many("hair_recession", 0.05, 70) > many("hair_recession", 0.05, 25) > many("hair_recession", 0.95, 70)
    assert many("beard", 0.02, 40) > 0.2
    assert many("beard", 0.98, 40) < 0.01
    assert many("lipstick", 0.98, 40) > 0.1 > 0.01 > many("lipstick", 0.02, 40)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (np.zeros(7), "but the shape given is \\(7,\\)"),
        (np.full(LATENT_DIM, np.nan), "'femininity' is no finite number"),
        (np.full(LATENT_DIM, 51.0), "lies 51 standard deviations out"),
    ],
)
def test_a_latent_that_is_none_is_refused(changed, expected):
    with pytest.raises(LiminalError, match=expected):
        describe(changed)


def test_unknown_names_and_values_out_of_range_are_refused():
    with pytest.raises(LiminalError, match="no latent called 'head turns'; did you mean head_turn"):
        set_named_value(draw(0), "head turns", 3)
    with pytest.raises(LiminalError, match="'head_turn' of 60 is out of range; it goes from -35 to 35 \\(degrees"):
        set_named_value(draw(0), "head_turn", 60)
    with pytest.raises(LiminalError, match="out of range"):
        set_named_value(draw(0), "age", float("nan"))
