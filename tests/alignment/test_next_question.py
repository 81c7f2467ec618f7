"""The next question: what it asks about, how many answers it saves where it can save any, and how the saving is read."""

import numpy as np
import pytest

from core.alignment import next_simulation, next_stored
from core.alignment.information import between, next_question
from core.alignment.next_simulation import EVERY, _ask, _needed, _Part, _parts, _possible, _World, simulate_next
from core.alignment.observer import K, Prior, observe, probabilities
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress


@pytest.fixture(scope="module")
def world():
    return next_simulation._world("dcgan-sharp", 0, Progress())


def torn(first, second, count, random):
    """Faces of which the crowd says one or the other of two emotions, more or less evenly."""
    group = np.full((count, K), 0.01)
    group[:, [first, second]] = 0.96 * random.dirichlet([20, 20], count)
    return group


def test_choosing_needs_less_than_half_where_few_faces_tell_anything():
    random = np.random.default_rng(0)
    certain = np.full((240, K), 0.002)
    certain[np.arange(240), random.integers(0, K, 240)] = 0.99
    group = np.vstack([certain, torn(0, 1, 100, random)])
    judged, near = np.arange(240, 270), np.arange(270, 340)
    part = _Part(("surprise", "fear"), judged, np.r_[np.arange(240), near], near)
    prior, order = Prior(bias=0.8), random.permutation(len(group))
    made = _World(np.log(group), group, order, prior)
    curves = np.zeros((3, 7))
    people = 12
    for number in range(people):
        bias = 0.8 * random.normal(size=K)
        truth = probabilities(np.array([0.0, *(bias - bias.mean()), -4.0]), group)[0]
        said = np.array([random.choice(K, p=p / p.sum()) for p in truth])
        for place, arm in enumerate(("random", "chosen", "near")):
            curves[place] += _ask(made, part, truth, said, 30, arm, number, Progress()) / people
    assert _needed(curves[0], curves[1]) <= 15
    assert _needed(curves[0], curves[2]) <= 15  # and so does whoever knows which faces matter
    assert _possible(made, part, 30, Progress()) < 0.5


def test_where_all_faces_tell_alike_no_order_can_save_much(world):
    part = _parts(world, "everything", 40)[0]
    assert _possible(world, part, 40, Progress()) > 0.75


def test_what_judges_is_never_asked_and_lies_between_the_two_feelings(world):
    parts = _parts(world, "boundary", 40)
    assert len(parts) > 3
    for part in [*parts, *_parts(world, "everything", 40)]:
        assert not set(part.judged) & set(part.pool)
        assert set(part.alike) <= set(part.pool)
        assert len(part.alike) > 40
        if part.pair:
            places = sorted(EMOTIONS.index(name) for name in part.pair)
            likeliest = np.sort(np.argsort(world.group[np.r_[part.judged, part.alike]], axis=1)[:, -2:], axis=1)
            assert (likeliest == places).all()
    with pytest.raises(LiminalError, match="ask fewer questions"):
        _parts(world, "boundary", 500)


def test_answers_needed_are_read_where_the_chosen_order_gets_as_far():
    steps = np.arange(13.0)
    slow, fast = 1 - steps / 24, 1 - steps / 12
    assert _needed(slow, fast) == pytest.approx(6 * EVERY)
    assert _needed(slow, slow) == pytest.approx(12 * EVERY)
    assert _needed(fast, slow) == 12 * EVERY + 1  # never
    dip = slow.copy()
    dip[2] = 0.2  # by chance
    assert _needed(slow, dip) > 6 * EVERY


def test_a_simulation_repeats_itself_and_says_what_it_is_about():
    first = simulate_next(people=2, answers=5, goal="boundary", seed=3)
    assert first.answers == (0, 5)
    assert len(first.pairs) == 2
    assert first.random[0].value == pytest.approx(first.chosen[0].value)  # nothing is known yet, in whatever order
    assert first.random[0].value == pytest.approx(first.near[0].value)
    assert all(each.value > 0 for each in (*first.random, *first.chosen, *first.near))
    assert 0 < first.possible <= 1
    assert first.basis.source == "simulated"
    assert simulate_next(people=2, answers=5, goal="boundary", seed=3).to_dict() == first.to_dict()
    every = simulate_next(people=2, answers=5, goal="everything", seed=3)
    assert every.near == every.pairs == ()
    assert np.isnan(every.near_share.value)


def test_refusals_and_cancelling():
    with pytest.raises(LiminalError, match="2 to 1,000 people"):
        simulate_next(people=1)
    with pytest.raises(LiminalError, match="boundary"):
        simulate_next(goal="anything")
    progress = Progress()
    progress.cancel.set()
    with pytest.raises(LiminalError, match="Stopped"):
        simulate_next(people=2, answers=5, progress=progress)


def test_what_matters_decides_what_is_asked():
    random = np.random.default_rng(1)
    group = np.vstack([torn(0, 1, 5, random), torn(4, 5, 5, random)])
    names = [f"i{place}" for place in range(10)]
    known = observe(group[:0], np.empty(0, int))
    for pair, places in ((("surprise", "fear"), range(5)), (("anger", "sadness"), range(5, 10))):
        targets = between(group, *pair)
        assert list(targets) == list(places)
        assert next_question(known, group, names, targets=group[targets])[0] in [names[place] for place in places]
    with pytest.raises(LiminalError, match="foretell"):
        next_question(known, group, names, targets=group[:0])
    with pytest.raises(LiminalError, match="itself"):
        between(group, "fear", "fear")
    with pytest.raises(LiminalError, match="'joy' is no emotion"):
        between(group, "fear", "joy")


def test_what_is_stored_comes_back_unchanged_and_only_for_the_same_choices(tmp_path):
    made = next_stored.build(people=2, answers=5, seed=3, folder=tmp_path)
    for goal, found in zip(next_simulation.GOALS, made, strict=True):
        again, date = next_stored.stored(2, 5, goal, 3, tmp_path)
        assert again.to_dict() == found.to_dict()
        assert len(date) == 10
        assert next_stored.stored(2, 5, goal, 4, tmp_path) is None
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "boundary.json").write_text((tmp_path / "boundary.json").read_text().replace('"goal"', '"gaol"'))
    assert next_stored.stored(2, 5, "boundary", 3, damaged) is None


def test_the_usual_choices_are_stored():
    for goal in next_simulation.GOALS:
        found, _ = next_stored.stored(next_stored.PEOPLE, next_stored.ANSWERS, goal, next_stored.SEED)
        assert (found.basis.source, found.basis.raters, found.answers[-1]) == ("simulated", 40, 80)
