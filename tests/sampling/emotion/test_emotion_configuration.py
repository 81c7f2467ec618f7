import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EMOTION_PAIRS, MAX_COUNT, EmotionConfiguration, order_emotions


def refused(**values):
    with pytest.raises(LiminalError) as error:
        EmotionConfiguration(**({"emotion1": "surprise", "emotion2": "fear"} | values))
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_fifteen_pairs_in_the_papers_order():
    assert len(EMOTION_PAIRS) == len(set(EMOTION_PAIRS)) == 15
    assert EMOTION_PAIRS[0] == ("surprise", "fear")
    assert EMOTION_PAIRS[-1] == ("sadness", "anger")
    assert all(order_emotions(*pair) == pair == order_emotions(*reversed(pair)) for pair in EMOTION_PAIRS)


@given(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS))
def test_a_pair_in_the_other_order_is_the_same_pair(first, second):
    if first == second:
        assert f"'{first}' was named twice" in refused(emotion1=first, emotion2=second)
        return
    configuration = EmotionConfiguration(first, second)
    assert configuration == EmotionConfiguration(second, first)
    assert configuration.pair[0] < configuration.pair[1]
    assert tuple(EMOTIONS[place] for place in configuration.pair) == (configuration.emotion1, configuration.emotion2)


@pytest.mark.parametrize("emotion", ["joy", "Fear", "", "neutral"])
def test_unknown_emotions(emotion):
    text = refused(emotion2=emotion)
    assert f"'{emotion}'" in text
    assert "surprise, fear, disgust, happiness, sadness, anger" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 0),
        ("count", 100_000),
        ("count", MAX_COUNT + 1),
        ("count", 2.5),
        ("count", True),
        ("seed", -1),
        ("seed", 2**63),
        ("steps", 1),
        ("resampling", 0),
        ("gamma", -0.1),
        ("gamma", float("nan")),
        ("gamma", float("inf")),
        ("freedom", 0.0),
        ("freedom", 1.01),
        ("freedom", float("nan")),
        ("search_steps", -1),
    ],
)
def test_numbers_that_make_no_sense_are_named(name, value):
    assert name in refused(**{name: value})


def test_unknown_ways_are_named():
    assert "'best'" in refused(strategy="best")
    assert "'hinge'" in refused(loss="hinge")
    assert "named twice" in refused(judges=("mini-xception", "emotion-mlp"))
    assert "must be a list" in refused(judges="mini-xception")
    with pytest.raises(LiminalError, match="no guidance 'worst'"):
        EmotionConfiguration("surprise", "fear").with_guidance("worst")


configurations = st.builds(
    EmotionConfiguration,
    emotion1=st.sampled_from(EMOTIONS[:3]),
    emotion2=st.sampled_from(EMOTIONS[3:]),
    count=st.integers(1, MAX_COUNT),
    seed=st.integers(0, 2**63 - 1),
    base=st.none() | st.text(),
    strategy=st.sampled_from(["two-stage", "direct"]),
    guided=st.booleans(),
    freedom=st.floats(0.01, 1),
    loss=st.sampled_from(["product", "cross-entropy"]),
    gamma=st.floats(0, 1e6),
    adaptive=st.booleans(),
    resampling=st.integers(1, 100),
    judges=st.lists(st.sampled_from(["mini-xception", "tanh-cnn", "small-cnn"]), unique=True),
)


@given(configurations)
def test_to_json_and_back(configuration):
    assert EmotionConfiguration.from_dict(json.loads(json.dumps(configuration.to_dict()))) == configuration


def test_a_parameter_of_another_version_is_named():
    values = EmotionConfiguration("surprise", "fear").to_dict() | {"weight": 3}
    with pytest.raises(LiminalError, match="'weight' is no parameter"):
        EmotionConfiguration.from_dict(values)


@given(configurations)
def test_paper_guidance_is_equations_1_and_2_as_written(configuration):
    paper = configuration.with_guidance("paper")
    assert (paper.strategy, paper.loss, paper.gamma, paper.adaptive, paper.resampling) == ("two-stage", "product", 0.5, False, 1)
    assert (paper.seed, paper.base, paper.count, paper.freedom) == (
        configuration.seed,
        configuration.base,
        configuration.count,
        configuration.freedom,
    )
    assert configuration.with_guidance("best") is configuration


def test_the_last_judge_never_steers():
    configuration = EmotionConfiguration("surprise", "fear")
    assert configuration.classifiers == ("emotion-mlp", "mini-xception", "tanh-cnn", "small-cnn")
    assert configuration.judges[-1] == "small-cnn"
