"""Attention checks that are made: what the stored logits promise, the finished pictures keep."""

import dataclasses

import torch

from core.sampling.configuration import sample_seed
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.images import quantise
from core.sampling.stored.reference import ReferenceSet
from core.studies import planning
from core.studies.planning import find_unanimous, list_stimuli
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
    made, note = planning.make_sentinels(asked, 6)
    assert note == ""
    assert list(find_unanimous(made).values()) == [emotion for _, emotion in known[:6]]
    assert len({emotion for _, emotion in known[:6]}) > 2
    stimuli = list_stimuli(made, "s")
    assert [each.expected for each in stimuli] == [emotion for _, emotion in known[:6]]
    assert all(each.is_sentinel and each.sample_type == "genuine" for each in stimuli)
    assert made.emotion.classifiers == asked.classifiers


def test_too_few_are_made_with_a_sentence(monkeypatch):
    reference = with_population(monkeypatch, 300)
    known = planning.list_sentinel_candidates(reference, configuration().classifiers)
    made, note = planning.make_sentinels(configuration(), len(known) + 5)
    assert len(list_stimuli(made, "s")) == len(known)
    assert note.startswith(f"Only {len(known)} of {len(known) + 5} attention checks can be had: among 300 reference faces of ")
