"""Simulated observers: their planted truth can be fitted back, and the same observer answers the same whoever else is there."""

import dataclasses
import itertools
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import entropy, norm, spearmanr

from core.errors import LiminalError
from core.models.builtin.head.latents import LATENT_DIM, set_named_value
from core.models.emotions import EMOTIONS
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.identity import generate_identity_batch
from core.sampling.images import decode_webp
from core.sampling.stored.population import load_population, load_thresholds
from core.sampling.stored.scores import get_metric, pairwise_distances
from core.studies.planning import PreparedStudy, list_stimuli, make_emotion_plan, make_identity_plan
from core.studies.simulation import (
    ACTION_SHARE,
    ACTION_UNITS,
    CONFUSION,
    HIDDEN_CLASSIFIER,
    PERCEPTIONS,
    PLANTED,
    EmotionPopulation,
    IdentityPopulation,
    ObserverTask,
    Tempo,
    measure_brightness,
    perceive_dissimilarities,
    perceive_evidence,
    simulate_answers,
    simulate_study,
)
from core.studies.study import Study
from tests.emotion_sets import emotion_set
from tests.fakes import fake_panel

START = datetime(2026, 1, 1, tzinfo=UTC)
ATTENTIVE: dict = {"inattentive": {}}


def attentive(population, **truth):
    return dataclasses.replace(population(**ATTENTIVE).observer(0, 0), **truth)


@pytest.mark.parametrize(("criterion", "sensitivity", "lapse"), [(0.4, 4.0, 0.02), (0.7, 9.0, 0.1)])
def test_sensitivity_criterion_and_lapses_are_recovered(criterion, sensitivity, lapse):
    observer = attentive(IdentityPopulation, criterion=criterion, sensitivity=sensitivity, lapse=lapse)
    shown = np.tile(np.linspace(0, 1.4, 71), 60)
    same = np.array([observer.answers(str(place), value)[1][1] == "1" for place, value in enumerate(shown)])

    def surprise(x):
        p = x[2] / 2 + (1 - x[2]) * norm.cdf((x[0] - shown) * x[1])
        return -np.where(same, np.log(p), np.log(1 - p)).sum()

    fitted = minimize(surprise, [0.5, 5.0, 0.05], bounds=[(0, 1.4), (1, 30), (1e-4, 0.5)]).x
    assert fitted == pytest.approx([criterion, sensitivity, lapse], rel=0.12, abs=0.015)
    assert observer.p_same(shown).mean() == pytest.approx(same.mean(), abs=0.02)


def test_acuity_biases_and_lapses_are_recovered():
    bias = (0.5, -0.4, 0.3, 0.0, -0.6, 0.2)
    observer = attentive(EmotionPopulation, acuity=3.0, bias=bias, lapse=0.08)
    seen = np.random.default_rng(0).normal(size=(6000, 6))
    said = np.array([EMOTIONS.index(observer.answers(str(place), row)[0][1]) for place, row in enumerate(seen)])

    def surprise(x):
        leaning = softmax(x[0] * seen, axis=1) @ np.array(observer.confusion) * np.exp([*x[2:], -sum(x[2:])])
        p = x[1] / 6 + (1 - x[1]) * leaning / leaning.sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(len(said)), said]).sum()

    fitted = minimize(surprise, [2.0, 0.05, 0, 0, 0, 0, 0], bounds=[(0.5, 9), (1e-4, 0.5), *[(-2, 2)] * 5]).x
    assert fitted[0] == pytest.approx(3.0, rel=0.1)
    assert fitted[1] == pytest.approx(0.08, abs=0.025)
    assert fitted[2:] == pytest.approx(bias[:5], abs=0.15)


def test_similarity_falls_with_dissimilarity_and_uses_the_whole_scale():
    observer = attentive(IdentityPopulation)
    means = [np.mean([float(observer.answers(f"{d}/{place}", d)[0][1]) for place in range(80)]) for d in (0.0, 0.5, 0.7, 0.9, 1.3)]
    assert all(after < before for before, after in itertools.pairwise(means))
    assert means[0] > 93
    assert means[-1] < 7


def test_reaction_times_rise_with_doubt_and_have_a_heavy_tail():
    observer = attentive(EmotionPopulation, tempo=Tempo(shift=250, typical=500, slope=0.2, spread=0.4))
    sure, torn = np.array([0, 0, 0, 9.0, 0, 0]), np.zeros(6)
    fast = np.array([observer.answers(f"a{place}", sure)[0][2] for place in range(500)])
    slow = np.array([observer.answers(f"b{place}", torn)[0][2] for place in range(500)])
    assert np.median(slow) > 1.15 * np.median(fast)
    for times in (fast, slow):
        assert times.min() > 250
        assert times.mean() > np.median(times)


def test_people_differ_and_scatter_around_their_population():
    people = [EmotionPopulation(**ATTENTIVE).observer(3, number) for number in range(300)]
    assert np.mean([each.confusion for each in people], axis=0) == pytest.approx(np.array(CONFUSION), abs=0.02)
    assert np.median([each.acuity for each in people]) == pytest.approx(EmotionPopulation().acuity, rel=0.05)
    assert np.std([each.bias[0] for each in people]) > 0.2
    deciders = [IdentityPopulation(**ATTENTIVE).observer(3, number) for number in range(300)]
    assert np.mean([each.criterion for each in deciders]) == pytest.approx(IdentityPopulation().criterion, abs=0.02)
    assert np.std([each.criterion for each in deciders]) == pytest.approx(IdentityPopulation().criterion_deviation, rel=0.15)


def test_rows_of_the_confusion_are_distributions():
    assert np.array(CONFUSION).sum(axis=1) == pytest.approx(np.ones(6))
    assert (np.array(CONFUSION).argmax(axis=1) == np.arange(6)).all()


def test_the_inattentive_answer_as_their_character_says():
    sure = np.array([0, 0, 0, 9.0, 0, 0])
    for character, expected in (("monotone", {"fear"}), ("hasty", set(EMOTIONS)), ("careless", set(EMOTIONS))):
        observer = attentive(EmotionPopulation, character=character, favourite="fear", lapse=0.0)
        told = [observer.answers(str(place), sure)[0] for place in range(300)]
        assert {each[1] for each in told} == expected
        assert (max(each[2] for each in told) < 300) == (character == "hasty")
    right = np.mean([each[1] == "happiness" for each in told])
    assert 0.25 < right < 0.55  # the careless: mostly guesses


# Sets


@pytest.fixture(scope="module")
def pairs():
    return generate_identity_batch(IdentityConfiguration(seed=2, iterations=2), 0, panel=fake_panel())


@pytest.fixture(scope="module")
def faces():
    random = np.random.default_rng(0)
    classifiers = EmotionConfiguration("surprise", "fear").classifiers
    planted = [dict.fromkeys(classifiers, (p, (1 - p) * 0.7, True)) for p in random.uniform(0.05, 0.95, size=60)]
    return emotion_set(planted, configuration=EmotionConfiguration("surprise", "fear", generator="dcgan", count=60))


def whole(made, raters=12, **options):
    stimuli = list_stimuli(made, "s")
    plan = (make_identity_plan if made.kind == "identity" else make_emotion_plan)(stimuli)
    return simulate_study(
        "A study", PreparedStudy(plan, tuple(stimuli), ("s",)), {"s": made}, raters=raters, seed=5, start=START, **options
    )


def test_equal_pictures_are_seen_as_equal_and_far_ones_as_far(pairs):
    seen = perceive_dissimilarities(pairs)
    genuine = pairs.pairs["sample_type"] == "genuine"
    values = pairs.pairs["pair_id"].map(seen)
    assert (values[genuine] == 0).all()
    assert (values >= 0).all()
    assert spearmanr(values, pairs.pairs["lpips"]).statistic > 0.5


def test_observers_are_not_told_who_is_who(pairs):
    """The truth of a generator that knows identity would plant the answer to the question that the study asks."""
    random = np.random.default_rng(0)
    told = pairs.pairs.assign(
        identity_distance=random.random(len(pairs.pairs)), same_identity=random.random(len(pairs.pairs)) < 0.5, latent_distance=0.0
    )
    values = pairs.samples.assign(value_age=random.random(len(pairs.samples)), value_femininity=0.5)
    assert perceive_dissimilarities(dataclasses.replace(pairs, pairs=told, samples=values)) == perceive_dissimilarities(pairs)


def test_constants_of_the_head_are_those_of_its_strangers():
    """Means over its stored strangers, so that two of them are 1 apart; scales so that their looks differ as dcgan-sharp's do."""
    head = PERCEPTIONS["head"]
    people = load_population("head")
    for name in ("dlib", "sface"):
        vectors = people.vectors(name)[:500]
        apart = pairwise_distances(vectors, vectors, get_metric(name))[np.triu_indices(len(vectors), k=1)]
        mean = np.nanmean(apart) / load_thresholds("head", name).default
        assert head.stranger_means[name] == pytest.approx(mean, rel=0.04)
    differences = {}
    for generator in PERCEPTIONS:
        pictures = np.stack([decode_webp(face.image) for face in load_population(generator).wall[:120]])
        looks = np.stack([measure_brightness(picture) for picture in pictures])
        scales = [PERCEPTIONS[generator].look_scales[name] for name in ("face", "hair")]
        first, second = np.triu_indices(len(looks), k=1)
        differences[generator] = np.minimum(np.abs(looks[first] - looks[second]) / scales, 2.0).mean(axis=0)
    assert differences["head"] == pytest.approx(differences["dcgan-sharp"], rel=0.08)


def test_other_generators_are_seen_like_the_first(pairs):
    assert pairs.configuration.generator not in PERCEPTIONS
    first = IdentityConfiguration(**{**dataclasses.asdict(pairs.configuration), "generator": "dcgan-sharp"})
    assert perceive_dissimilarities(dataclasses.replace(pairs, configuration=first)) == perceive_dissimilarities(pairs)
    head = IdentityConfiguration(**{**dataclasses.asdict(pairs.configuration), "generator": "head"})
    assert perceive_dissimilarities(dataclasses.replace(pairs, configuration=head)) != perceive_dissimilarities(pairs)


def test_where_no_face_was_found_the_other_parts_count(pairs):
    blind = pairs.pairs.assign(distance_dlib=np.nan, distance_sface=np.nan)
    thresholds = {**pairs.manifest, "thresholds": {"dlib": 0.6, "sface": 0.6}}
    seen = perceive_dissimilarities(dataclasses.replace(pairs, pairs=blind, manifest=thresholds))
    assert np.isfinite(list(seen.values())).all()
    assert seen == perceive_dissimilarities(pairs)  # the fakes' recogniser is neither


def test_evidence_follows_the_hidden_classifier_alone(faces):
    before = perceive_evidence(faces)
    others = [
        name for name in faces.samples.columns if name.startswith(("p_", "logit_", "calibrated_")) and HIDDEN_CLASSIFIER not in name
    ]
    blurred = dataclasses.replace(faces, samples=faces.samples.assign(**dict.fromkeys(others, 0.5)))
    after = perceive_evidence(blurred)
    assert all((after[name] == before[name]).all() for name in before)
    surprise = faces.samples["sample_id"].map(lambda name: before[name][0] - before[name][1])
    assert spearmanr(surprise, faces.samples[f"calibrated_{HIDDEN_CLASSIFIER}_surprise"]).statistic > 0.95


def test_where_facial_actions_are_known_half_of_the_evidence_is_in_them(faces):
    """The same faces at rest and with fear of strength 0.6: what the network says is the same, so that fear alone gains."""
    rest = np.zeros(LATENT_DIM, np.float32)
    afraid = set_named_value(rest, "fear", 0.6)
    of_heads = dataclasses.replace(faces.configuration, generator="head")
    at_rest, with_fear = (
        perceive_evidence(dataclasses.replace(faces, configuration=of_heads, latents=dict.fromkeys(faces.latents, latent)))
        for latent in (rest, afraid)
    )
    gain = np.array([with_fear[name] - at_rest[name] for name in at_rest])
    assert np.allclose(gain, ACTION_SHARE * ACTION_UNITS * 0.6 * np.eye(6)[EMOTIONS.index("fear")], atol=1e-6)


def test_a_set_without_the_hidden_classifier_is_a_sentence():
    judges = ("mini-xception",)
    configuration = EmotionConfiguration("surprise", "fear", judges=judges)
    made = emotion_set([dict.fromkeys(configuration.classifiers, (0.5, 0.4, True))], configuration=configuration)
    with pytest.raises(LiminalError, match=f"{HIDDEN_CLASSIFIER} among its judges"):
        perceive_evidence(made)


def test_the_same_observer_answers_the_same_whoever_else_is_there(faces):
    study = Study("A study", make_emotion_plan(list_stimuli(faces, "s")), source="simulated")
    stimuli = list_stimuli(faces, "s")
    order = tuple(each.stimulus for each in stimuli)
    alone = simulate_answers(study, stimuli, [ObserverTask(7, "seven", order)], {"s": faces}, seed=5, start=START)
    others = [ObserverTask(number, f"o{number}", order) for number in (1, 2)]
    together = simulate_answers(study, stimuli, [*others, ObserverTask(7, "seven", order[::-1])], {"s": faces}, seed=5, start=START)
    kept = ["rating_id", "stimulus", "value", "reaction_time_ms"]
    mine = together[together["rater"] == "seven"].sort_values("stimulus", ignore_index=True)
    pd.testing.assert_frame_equal(mine[kept], alone.sort_values("stimulus", ignore_index=True)[kept])
    assert not mine["value"].equals(together[together["rater"] == "o1"].sort_values("stimulus", ignore_index=True)["value"])


def test_every_answer_is_marked_as_simulated(pairs, faces):
    for made, tasks in ((pairs, {"similarity", "identity"}), (faces, {"emotion"})):
        study = whole(made, raters=3)
        assert (study.study.source, study.study.closed) == ("simulated", True)
        assert study.study.note.startswith(PLANTED[made.kind])
        assert set(study.ratings["source"]) == {"simulated"}
        assert set(study.ratings["task"]) == tasks
        assert study.ratings["rating_id"].is_unique
        asked = {each.stimulus: each.is_sentinel for each in study.stimuli}
        assert (study.ratings["stimulus"].map(asked) == study.ratings["is_sentinel"]).all()
        for rater in study.raters:
            mine = study.ratings[study.ratings["rater"] == rater.rater].drop_duplicates("trial")
            assert tuple(mine["stimulus"]) == rater.trials
            assert rater.source == "simulated"


def test_doubt_of_people_and_their_times_go_together(faces):
    """The planted relation, at about the strength that paper B reports (0.42)."""
    made = whole(faces, raters=40, population=EmotionPopulation(**ATTENTIVE)).ratings
    spread = made.groupby("stimulus")["value"].apply(lambda said: entropy(said.value_counts(), base=2))
    times = made.groupby("stimulus")["reaction_time_ms"].mean()
    assert 0.1 < spearmanr(spread, times).statistic < 0.8


def test_sets_of_the_other_kind_and_missing_sets_are_refused(pairs, faces):
    stimuli = list_stimuli(faces, "s")
    study = Study("A study", make_emotion_plan(stimuli))
    with pytest.raises(LiminalError, match="cannot ask about a set of identity"):
        simulate_answers(study, stimuli, [], {"s": pairs}, seed=0, start=START)
    with pytest.raises(LiminalError, match="lack 60"):
        simulate_answers(study, stimuli, [], {}, seed=0, start=START)
    with pytest.raises(LiminalError, match="not 0"):
        whole(faces, raters=0)
