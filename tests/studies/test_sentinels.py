"""Attention checks that are made: what the stored logits promise, the finished pictures keep."""

import dataclasses
from collections import Counter

import pytest
import torch

from core.models.builtin.head import latents
from core.models.emotions import EMOTIONS
from core.sampling.configuration import sample_seed
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.images import quantise
from core.sampling.stored.reference import ReferenceSet
from core.studies import planning
from core.studies.planning import find_unanimous, list_stimuli
from core.studies.study import RatingPlan, Stimulus, Study
from tests.fakes import FakeGenerator
from tests.sampling.emotion.planted import configuration, planted_panel


def with_population(monkeypatch, count):
    """A planted panel whose reference population is that of its generator's own seeds."""
    panel = planted_panel()
    latents = panel.generator.sample([sample_seed(0, "reference", place) for place in range(count)])
    with torch.inference_mode():
        images = quantise(panel.generator.decode(2 * latents))  # far out: many are sure
        logits = {name: judge.logits(images).numpy() for name, judge in panel.classifiers.items()}
    monkeypatch.setattr(type(panel.generator), "sample", lambda self, seeds: 2 * _drawn(seeds))
    reference = ReferenceSet("fake-generator", 0, logits, dict.fromkeys(logits, 1.0), "", "")
    monkeypatch.setattr(planning, "load_reference_set", lambda name: reference)
    monkeypatch.setattr(EmotionPanel, "load", classmethod(lambda cls, asked: dataclasses.replace(panel, reference=reference)))
    return reference


def _drawn(seeds):
    return torch.stack([torch.randn(8, generator=torch.Generator().manual_seed(seed % 2**63)) for seed in seeds])


def test_made_faces_are_the_unanimous_ones_of_the_population(monkeypatch):
    real = FakeGenerator().sample([1, 2])
    assert torch.equal(real, _drawn([1, 2]))  # what this file takes for granted
    reference = with_population(monkeypatch, 300)
    asked = configuration()
    known = planning.list_sentinel_candidates(reference, asked.classifiers)
    assert len(known) > 6
    wanted = [emotion for _, emotion in reversed(known[:6])]
    made, note = planning.make_sentinels(asked, wanted)
    assert note == ""
    assert list(find_unanimous(made).values()) == wanted
    assert len(set(wanted)) > 2
    stimuli = list_stimuli(made, "s")
    assert [each.expected for each in stimuli] == wanted
    assert all(each.is_sentinel and each.sample_type == "genuine" for each in stimuli)
    assert made.emotion.classifiers == asked.classifiers


def test_too_few_are_made_with_a_sentence(monkeypatch):
    reference = with_population(monkeypatch, 300)
    known = planning.list_sentinel_candidates(reference, configuration().classifiers)
    made, note = planning.make_sentinels(configuration(), ["fear"] * (len(known) + 5))
    assert len(list_stimuli(made, "s")) == len(known)
    assert note.startswith(f"Only {len(known)} of {len(known) + 5} attention checks can be had: among 300 reference faces of ")


def check(name, expected):
    return Stimulus(name, (name,), "genuine", is_sentinel=True, expected=expected)


def test_checks_are_spread_over_the_emotions_and_lacking_ones_are_told():
    happy = [check(f"h{place}", "happiness") for place in range(10)]
    assert planning.list_missing_checks(happy, 10, EMOTIONS, clear=False) == []
    wanted = planning.list_missing_checks(happy, 10, EMOTIONS, clear=True)
    assert Counter(wanted) == {"surprise": 2, "fear": 2, "disgust": 2, "sadness": 1, "anger": 1}
    assert planning.list_missing_checks([], 3, ("fear", "anger"), clear=False) == ["fear", "fear", "anger"]
    (warning,) = planning.describe_checks(happy, 10, EMOTIONS)
    assert warning.startswith("All attention checks expect happiness: whoever answers so whenever unsure passes them.")
    assert planning.describe_checks([*happy, *(check(name, name) for name in EMOTIONS[:4])], 10, EMOTIONS) == []
    assert planning.describe_checks([check("f", "fear")], 10, ("fear",)) == []


def test_a_raters_checks_take_turns():
    checks = [check(f"h{place}", "happiness") for place in range(20)] + [check(name, name) for name in ("fear", "anger", "disgust")]
    asked = [Stimulus(f"s{place}", (f"s{place}",), "boundary") for place in range(5)]
    study = Study("s", RatingPlan("emotion", trials=5, sentinels=8))
    for number in range(5):
        order = planning.assign_stimuli(study, [*checks, *asked], {}, number)
        expected = Counter(each.expected for each in checks if each.stimulus in order)
        assert expected == {"happiness": 5, "fear": 1, "anger": 1, "disgust": 1}


def test_clear_faces_of_the_head_show_what_is_expected():
    for place, emotion in enumerate(EMOTIONS):
        values = latents.named_values(planning._make_clear_face(place, emotion))
        assert values[emotion] == pytest.approx(1)
        assert max(values[other] for other in EMOTIONS if other != emotion) < 0.6


def test_checks_that_the_question_cannot_be_answered_by_are_ordinary_or_left_out():
    pair = Stimulus("p", ("a", "a"), "genuine", is_sentinel=True, expected="1")
    assert planning._adapt_checks([pair], ()) == [Stimulus("p", ("a", "a"), "genuine")]
    assert planning._adapt_checks([check("f", "fear")], ("anger",)) == []
    assert planning._adapt_checks([check("f", "fear")], ("fear",)) == [check("f", "fear")]


def test_faces_that_were_made_with_an_emotion_expect_it_whatever_classifiers_say(monkeypatch, tmp_path):
    with_population(monkeypatch, 10)
    monkeypatch.setattr(planning, "HEAD", configuration().generator)
    monkeypatch.setattr(planning, "_make_clear_face", lambda seed, emotion: _drawn([seed])[0].numpy())
    wanted = ["anger", "fear", "fear", "sadness"]
    made, note = planning.make_sentinels(configuration(), wanted)
    assert note == ""
    made.save(tmp_path / "checks")
    stimuli = list_stimuli(type(made).load(tmp_path / "checks"), "s")
    assert [each.expected for each in stimuli] == wanted
    assert all(each.is_sentinel for each in stimuli)
