"""Every suite runs from end to end at a tiny size; its figures are figures, not verdicts on this machine's speed."""

import argparse
import json
import math
from dataclasses import fields, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import benchmarks.__main__ as benchmark
from benchmarks import (
    adaptive,
    adaptive_faces,
    alignment,
    analysis,
    causes,
    chains,
    emotion,
    gpu,
    identity,
    imitation,
    many,
    memory,
    studies,
)
from core.models import registry
from core.models.builtin.head.latents import LATENT_DIM
from core.models.builtin.head.people import describe
from core.models.builtin.head.renderer import draw_face_mask
from core.models.custom import catalogue
from core.sampling.events import BoundarySampleMade
from tests.emotion_sets import emotion_set

main = benchmark.main
MODULES = (identity, emotion, causes, adaptive, chains, studies, analysis, many, alignment, imitation, gpu)


def run(capsys, monkeypatch, suite, sizes, *options):
    """The suite's figures and its text; the suite's own amount of work is ``sizes``."""
    monkeypatch.setattr(suite, "FULL", sizes)
    name = suite.__name__.rpartition(".")[2]
    assert main([name, "--json", *options]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["machine"]) == {"processor", "torch", "threads"}
    return figures, suite.as_text(figures)


def test_a_slider_and_a_step_are_timed(capsys, monkeypatch):
    monkeypatch.setattr(chains.named_slider, "draw_slider", lambda *_: np.zeros((21, 8, 8, 3), np.uint8))
    figures, text = run(capsys, monkeypatch, chains, chains.Sizes(2))
    assert len(figures["slider_seconds"]) == len(figures["store_seconds"]) == 2
    assert text.startswith("A slider's 21 pictures are there in ")


def test_identity_measures_both_sides(capsys, monkeypatch):
    monkeypatch.setattr(identity.memory, "measure", partial(memory.measure, 2))  # of all models it takes ten seconds
    options = ("--runs", "1", "--iterations", "1", "--faces", "2")
    figures, text = run(
        capsys, monkeypatch, identity, replace(identity.FULL, batch_runs=2, generations=1, slider_steps=2, heads=2), *options
    )
    assert figures["recogniser"]["largest_l2_difference"] < 1e-4
    assert figures["search"]["paper_evaluations"] == [20], "one generation for 241 latents"
    assert figures["search"]["liminal_true_renders"] == [2, 2], "the start and one climb"
    assert all(figures["search"][name] > 0 for name in ("ratio", "cmaes_evaluations_per_second"))
    assert all(figures["rendering"][name] > 0 for name in ("256_ms", "512_ms", "two_threads_ratio"))
    assert figures["memory_mb"] > 100
    assert set(figures["slider_step_ms"]) == {"dcgan-sharp", "head"}
    assert "to reach: 12" in text


def test_causes_finds_the_planted_one(capsys, monkeypatch):
    monkeypatch.setattr(causes, "make_strips", lambda design, names, panel: None)
    monkeypatch.setattr(causes.ChangePanel, "observe", _observe_nothing)
    sizes = replace(causes.QUICK, latents=3, people=10)
    figures, text = run(capsys, monkeypatch, causes, sizes)
    assert figures["planted_found"] is True
    assert figures["checked"] is None
    assert "60 predictions" not in text
    assert "100 predictions" in text


def _observe_nothing(panel, latents, design):
    """Descriptors by the planted surrogate where it is one, else one number."""
    planted = isinstance(panel.surrogate, causes._PlantedSurrogate)
    vectors = panel.surrogate.descriptors(latents, "") if planted else latents[:, :1]
    return dict.fromkeys(panel.recognisers, vectors), {}


def test_adaptive_measures_both_methods(capsys, monkeypatch):
    monkeypatch.setattr(adaptive_faces, "STUDIES", (("torn", 50),))
    sizes = replace(adaptive.QUICK, people=4, trials=40, face_people=4, face_answers=20)
    figures, text = run(capsys, monkeypatch, adaptive, sizes)
    assert figures["faces"]["torn, 50 people before"]["needed"]["20"]["answers"] <= 21
    assert "as well as 20 faces at random" in text
    assert figures["errors"]["psi"]["40"] < 0.1
    assert figures["milliseconds_a_choice"] < 50
    assert "to stay under: 50 ms" in text


class MadeUpReference:
    """A hundred faces, of which ten pass for any pair."""

    expressions = None

    def __len__(self):
        return 100

    def count_passing(self, classifier, pair):
        return 10, 100


def test_emotion_measures_every_configuration(capsys, monkeypatch):
    """The sets are made up: half of the guided samples pass, a quarter of the others; the prior's figures are those of its card."""
    live = []

    def generate(configuration, progress=None, *, panel):
        if configuration.base is not None:
            live.append(configuration.count)
            for index in range(configuration.count if progress else 0):
                progress.emit(BoundarySampleMade(index, None, {}, {}, {}, 0.4, f"s{index}"))
            return None
        share = 2 if configuration.guided else 4
        planted = [
            dict.fromkeys(configuration.classifiers, (0.4, 0.35, index % share == 0)) for index in range(configuration.count)
        ]
        return emotion_set(planted, configuration=configuration)

    monkeypatch.setattr(emotion.EmotionPanel, "load", lambda configuration: SimpleNamespace(reference=MadeUpReference()))
    monkeypatch.setattr("core.sampling.emotion.generate.generate_emotion_set", generate)
    monkeypatch.setattr(emotion, "generate_emotion_set", generate)
    figures, text = run(capsys, monkeypatch, emotion, emotion.FULL, "--images", "4", "--generator", "dcgan")
    assert set(figures["configurations"]) == {"two-stage", "two-stage, free", "direct", "paper"}
    for found in figures["configurations"].values():
        assert (found["pairs"], found["images"]) == (15, 60)
        for classifier in found["classifiers"].values():
            assert (classifier["guided"]["share"], classifier["unguided"]["share"]) == (0.5, 0.25)
        assert found["without_disgust"]["small-cnn"] == {"guided": 0.5, "unguided": 0.25}
    assert set(figures["plain"].values()) == {0.1}
    assert live == [1, 16, 1, 16]  # each strategy once to warm up
    assert {name: run["pictures"] for name, run in figures["live_seconds"].items()} == {"two-stage": 16, "direct": 16}
    assert "15 pairs, 4 images each from dcgan" in text
    assert "5.0 times" in text


def test_what_is_painted_grey_is_face_and_neck_with_their_margin():
    rest = np.zeros(LATENT_DIM, np.float32)
    mask = draw_face_mask(describe(rest), 128)
    assert mask[64:90, 50:78].all()  # cheeks and mouth
    assert not mask[:, :10].any()
    assert not mask[:12].any()  # hair
    single = torch.zeros(64, 64, dtype=torch.bool)
    single[30, 30] = True
    painted = emotion._paint_grey(torch.ones(1, 3, 64, 64), single)[0, 0]
    assert (int((painted == 0.5).sum()), float(painted[22, 38]), float(painted[21, 30])) == (17 * 17, 0.5, 1.0)


def test_analysis_measures_both_sides(capsys, monkeypatch):
    sizes = replace(analysis.QUICK, raters=6, images=60, small_bases=4, large_bases=8, lpips_faces=5)
    figures, text = run(capsys, monkeypatch, analysis, sizes, "--runs", "1")
    consistency = figures["consistency"]
    assert consistency["largest_difference"] < 1e-12
    assert (consistency["pairs"], consistency["looped_pairs"]) == (15, 15)
    assert consistency["ratio"] == pytest.approx(consistency["loop_seconds"] / consistency["liminal_seconds"])
    assert figures["disagreement"]["small"]["pairs"] == 112
    assert figures["disagreement"]["large"]["answers"] == 4480
    assert figures["bootstrap"]["resamples"] == 2000
    assert figures["bootstrap"]["rows"] == 15
    assert (figures["lpips"]["pairs"], figures["lpips"]["looped_pairs"]) == (10, 10)
    assert figures["lpips"]["largest_difference"] < 1e-5
    assert "to reach: 500" in text


def test_studies_counts_every_answer(capsys, monkeypatch):
    sizes = studies.StudySizes(raters=3, answers=4, paced_answers=2, pace_s=0.01)
    figures, text = run(capsys, monkeypatch, studies, sizes, "--rows", "900")
    saved = figures["save_ms"]
    assert {how: found["answers"] for how, found in saved.items()} == {
        "no pause": 12,
        "an answer each half second": 6,
        "one rater alone": 4,
    }
    assert all(0 < found["median"] <= found["percentile_95"] for found in saved.values())
    assert figures["table"]["rows"] == 900
    assert "900 answers" in text


def test_many_estimates_a_million(capsys, monkeypatch):
    """What the worker measures is made up: it is a process of its own that takes a minute."""
    searched = {
        "recogniser": "dlib",
        "batch_s": 3.6,
        "optimized": 10,
        "search_s": 1.0,
        "other_image_s": 0.1,
        "image_s": 0.2,
        "bytes_an_image": 1000.0,
        "device": "cpu",
    }
    worker = {
        "identity": {"iterations": 100, "cmaes": searched, "gradient": searched},
        "emotion": {strategy: {"image_s": 0.5} for strategy in ("two-stage", "direct")},
    }
    asked = []

    def run_in_subprocess(*command, **environment):
        asked.append((command, environment))
        return worker

    monkeypatch.setattr(many, "_run_in_subprocess", run_in_subprocess)
    figures, text = run(capsys, monkeypatch, many, replace(many.QUICK, rows=0), "--images", "2")
    ((command, environment),) = asked
    assert command[0] == "work"
    assert many.DataSetSizes(**json.loads(command[1])) == replace(many.QUICK, rows=0, images=2)
    assert environment == {"OMP_NUM_THREADS": "1"}
    assert figures["looking"] is None
    assert many.estimate_million(3.6, 10) == {"batches": 100_000, "worker_hours": 100.0, "hours": 100.0}
    assert "100,000 batches (10 each), 100 hours of such a worker" in text


def test_alignment_measures_learning(capsys, monkeypatch):
    sizes = replace(alignment.FULL, images=80, answers=480, people=8, measured_pictures=2)
    figures, text = run(capsys, monkeypatch, alignment, sizes)
    for name in (alignment.MLP, "mini-xception"):
        group = figures["group"][name]
        parts = group["pictures_s"] + group["plain_faces_s"] + group["learning_s"]
        assert group["minutes"] == pytest.approx(parts / 60, abs=0.02)
        assert group["pictures_scaled_from"] == 2
        assert 1 <= group["inputs_looked_at_anew_each_epoch"] <= 15  # an epoch cannot look more often than once
    mlp, network = figures["group"][alignment.MLP], figures["group"]["mini-xception"]
    assert mlp["learning_scaled_from_share"] is None
    assert network["learning_scaled_from_share"] == sizes.measured_share
    assert mlp["individual_s"] > 0
    assert network["a_row_an_answer"] > 0
    assert "aim: 5" in text
    assert "scaled" in text


def test_imitation_measures_zoo_and_searches(capsys, monkeypatch):
    figures, text = run(capsys, monkeypatch, imitation, replace(imitation.QUICK, strangers=60, owners=1, pairs=2))
    assert figures["strangers"] == 60
    for name in ("dlib", "sface"):
        assert 0 < figures["zoo"][name]["mb"] < 300
        assert figures["zoo"][name]["seconds"] > 0
    assert figures["masters"]["dlib"]["searched"]["judged"] in (29, 30)
    assert (figures["morphs"]["faces"], figures["parting"]["pairs"]) == (3, 2)
    assert figures["parting"]["median_margin"] > 0
    assert "to reach: 300" in text


def test_simulated_answers_are_as_many_as_in_the_paper():
    answers = alignment._simulate_answers()
    assert (len(answers), len(answers.images), len(answers.raters)) == (22_450, 1678, 66)
    assert answers.source == "simulated"
    pairs = answers.image * 66 + answers.rater
    assert (pairs[1:] > pairs[:-1]).all()  # sorted, nobody answers twice
    assert math.isclose(answers.counts.sum(), 22_450)


@pytest.mark.parametrize("suite", ["identity", "studies", "many"])
def test_absurd_numbers_are_one_sentence(capsys, suite):
    option = "--rows" if suite == "studies" else "--iterations"
    assert main([suite, option, "0"]) == 2
    assert capsys.readouterr().err == f"Error: {option} must be at least 1; it is 0.\n"


def test_an_option_of_another_suite_is_one_sentence(capsys):
    assert main(["studies", "--live-generator", "dcgan"]) == 2
    assert "--live-generator is no option of the suite studies" in capsys.readouterr().err


def test_quick_is_known_to_every_suite(monkeypatch, capsys):
    """Each measures what ``QUICK`` says, which is at most what it measures else."""
    assert {suite.__name__ for suite in MODULES} == {f"benchmarks.{name}" for name in benchmark.SUITES}
    for suite in MODULES:
        sizes = []
        monkeypatch.setattr(suite, "measure", lambda given, sizes=sizes: sizes.append(given) or {"failed": 0})
        assert main([suite.__name__.rpartition(".")[2], "--quick", "--json"]) == 0
        assert sizes == [suite.QUICK]
        for field in fields(suite.QUICK) if suite is not gpu else ():
            quick, full = getattr(suite.QUICK, field.name), getattr(suite.FULL, field.name)
            assert not isinstance(quick, int | float) or quick <= full, field.name


def test_a_check_that_failed_is_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "measure", lambda sizes: {"failed": 1})
    assert main(["gpu", "--json"]) == 1


def test_no_default_is_a_model_that_the_user_added(monkeypatch):
    added = catalogue.CustomModel("mine", "stylegan2", "/somewhere/mine.safetensors")
    monkeypatch.setattr(registry, "list_custom_models", lambda: (added,))
    assert registry.list_names("generator")[-1] == "mine"
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    assert parser.parse_args(["emotion", "--generator", "mine"]).generator == "mine"
    sizes = [benchmark._choose_sizes(parser.parse_args([suite.__name__.rpartition(".")[2]]), suite) for suite in MODULES]
    assert sizes == [suite.FULL for suite in MODULES]
    assert (emotion.FULL.generator, emotion.FULL.live_generator, many.FULL.generator) == ("head", "head", "dcgan")
