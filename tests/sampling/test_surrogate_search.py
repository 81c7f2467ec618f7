"""Planted truth: the surrogate is smooth, but wrong everywhere; only true pictures can lead to the face that is sought."""

import itertools

import numpy as np
import pytest
import torch

from core.errors import LiminalError
from core.sampling.search import search_descriptor
from tests.fakes import FakeGenerator, FakeRecogniser, FakeSurrogate
from tests.sampling.test_search import STARTS, TRUTH, configuration, true_distance

TARGET = 0.03


def search(
    strategy="surrogate", generator=None, surrogate=None, starts=STARTS, recogniser=None, wanted=TRUTH, on_step=None, **more
):
    return search_descriptor(
        starts,
        torch.from_numpy(wanted),
        generator or FakeGenerator(),
        recogniser or FakeRecogniser(),
        configuration(strategy, targets=(TARGET,), **more),
        surrogate=surrogate or FakeSurrogate(),
        on_step=on_step,
    )


def test_a_biased_surrogate_leads_under_the_target_in_few_true_pictures():
    """CMA-ES needs several times as many. Climbing the surrogate alone ends far from the face that is sought."""
    guided = search(iterations=15)
    assert all(made.results[0].reached and true_distance(made.results[0].latent) < 2 * TARGET for made in guided.runs)
    assert all(made.evaluations <= 15 for made in guided.runs)
    selected = search("cmaes", iterations=300)
    assert np.median([made.evaluations for made in selected.runs]) > 5 * max(made.evaluations for made in guided.runs)
    misled = FakeSurrogate().descriptors(torch.from_numpy(TRUTH), "fake") - torch.from_numpy(TRUTH)
    assert float(FakeRecogniser().distance(misled, torch.zeros(1))) > 3 * TARGET


def test_each_iteration_is_one_true_picture_and_shown_where_it_is_better():
    generator, steps = FakeGenerator(), []
    result = search(generator=generator, iterations=15, on_step=steps.append)
    assert generator.decoded == result.evaluations == len(steps)
    for run, made in enumerate(result.runs):
        better = [True, *(after < before for before, after in itertools.pairwise(made.history))]
        assert [step.image is not None for step in steps if step.run == run] == better


def test_a_climb_does_not_jump_over_the_targets_in_between():

    class Exact(FakeSurrogate):
        def descriptors(self, latents, recogniser):
            return latents

    wanted, settings = torch.from_numpy(TRUTH), configuration("surrogate", targets=(0.03, 0.15, 0.3), iterations=20)
    made = search_descriptor(STARTS, wanted, FakeGenerator(), FakeRecogniser(), settings, surrogate=Exact())
    for run in made.runs:
        assert all(outcome.reached for outcome in run.results)
        assert len({outcome.latent.tobytes() for outcome in run.results}) == 3


def test_a_search_is_repeated_to_the_byte():
    first, second = search(iterations=9), search(iterations=9)
    assert [made.history for made in first.runs] == [made.history for made in second.runs]
    assert all(a.results[0].latent.tobytes() == b.results[0].latent.tobytes() for a, b in zip(first.runs, second.runs, strict=True))


def test_a_run_that_loses_the_face_comes_back():
    """What is sought lies just beyond the border of where faces are found, and climbs jump over it again and again."""
    lost = []

    class Watched(FakeRecogniser):
        def embed(self, images):
            vectors = super().embed(images)
            lost.extend(vectors.isnan().any(dim=1).tolist())
            return vectors

    border = float(TRUTH[0]) - 0.2
    starts = STARTS.copy()
    starts[:, 0] = border - 1.0
    result = search(recogniser=Watched(face_until=border), starts=starts, iterations=40)
    assert any(lost)
    assert all(made.results[0].distance < 0.35 * made.history[0] for made in result.runs)


def test_latents_stay_as_long_as_drawn_ones_and_no_value_goes_where_none_is_drawn():
    improbable = TRUTH * np.float32(2.5 / np.sqrt(np.square(TRUTH).mean()))
    result = search(wanted=improbable, iterations=60, plausibility=20.0)
    for made in result.runs:
        assert np.square(made.results[0].latent).mean() < 1.5
        assert np.abs(made.results[0].latent).max() <= max(3.0, np.abs(made.start).max())


def test_without_a_surrogate_one_sentence_names_another_strategy():
    with pytest.raises(LiminalError, match=r"Nothing predicts what dlib ResNet says of pictures by fake-generator; .*cmaes"):
        search_descriptor(
            STARTS, torch.from_numpy(TRUTH), FakeGenerator(), FakeRecogniser("dlib"), configuration("surrogate"), surrogate=None
        )
