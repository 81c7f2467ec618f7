"""Everything about one study in one place."""

import numpy as np
import pandas as pd
import pytest

from core.analysis.disagreement import score_identity_disagreement
from core.analysis.study_data import build_study_data, collect_latents, load_study_data, relabel_guiding_classifier
from core.errors import LiminalError
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.identity import generate_identity_set
from core.studies.importing.published import PUBLISHED_KEY
from core.studies.library import Library
from core.studies.planning import join_stimuli, list_stimuli, make_emotion_plan, make_identity_plan
from core.studies.store import Store
from core.studies.study import Stimulus, Study
from tests.analysis.rating_tables import rows
from tests.emotion_sets import answer, emotion_set, unanimous
from tests.fakes import fake_panel


@pytest.fixture(scope="module")
def pairs():
    return generate_identity_set(IdentityConfiguration(seed=2, iterations=2), 2, panel=fake_panel())


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "sets", tmp_path / "none")


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'ratings.sqlite'}")
    yield opened
    opened.dispose()


def answers(stimuli, name, *, value, task="identity", raters=3, **options):
    """Everyone answers everything; ``value``: of (rater, place)."""
    every = [(rater, place) for rater in range(raters) for place in range(len(stimuli))]
    columns = {
        "rater": [f"r{rater}" for rater, _ in every],
        "stimulus": [stimuli[place].stimulus for _, place in every],
        "task": task,
        "value": [value(rater, place) for rater, place in every],
        "reaction_time_ms": 900.0,
    }
    return rows(columns, study=name, **options)


def test_a_study_of_pairs(store, library, pairs):
    set_id = library.add(pairs)
    stimuli = list_stimuli(pairs, set_id)[:112]  # one of the two batches is asked about

    def said(rater, place):
        return "1" if stimuli[place].is_sentinel else str((rater + place) % 2) if rater else "1"

    study = Study("s", make_identity_plan(stimuli), sample_sets=(set_id,), source="simulated")
    store.restore(study, stimuli, answers(stimuli, "s", value=said, source="simulated"))
    found = load_study_data(store, library, "s")
    assert found.pairs["pair_id"].tolist() == [each.stimulus for each in stimuli]
    assert found.pairs.drop(columns="search_distance").equals(pairs.pairs.head(112))
    assert (found.kind, found.source, found.sets, found.notes) == ("identity", "simulated", (set_id,), ())
    assert found.recognisers == ["fake"]
    assert found.thresholds == pairs.manifest["thresholds"]
    assert found.generator == pairs.configuration.generator
    assert set(found.where.values()) == {set_id}
    assert set(found.where) == {name for each in stimuli for name in each.images}
    assert len(found.ratings) == 3 * 112
    assert list(found.excluded) == ["r0"]  # said the same of all
    assert set(found.counted["rater"]) == {"r1", "r2"}
    assert not load_study_data(store, library, "s", rules=None).excluded
    scores = score_identity_disagreement(found.pairs, found.ratings, "fake", found.thresholds["fake"], excluded=found.excluded)
    assert (scores.table["votes"] == 2).all()
    latents = collect_latents(library, found.sets, found.samples["sample_id"].tolist())
    assert np.array_equal(latents[5], pairs.latents[found.samples["sample_id"][5]])


def test_sets_of_faces_are_joined_whoever_steered_them(store, library):
    one = EmotionConfiguration("surprise", "fear", count=2)
    other = EmotionConfiguration("happiness", "anger", count=1, steerer="mini-xception", judges=("emotion-mlp", "small-cnn"))
    says = {"emotion-mlp": (0.9, 0.05, True), "mini-xception": (0.5, 0.4, True), "small-cnn": (0.2, 0.3, False)}
    sets = [
        emotion_set([unanimous(0.5, 0.4, True), unanimous(0.95, 0.02, True)], configuration=one),
        emotion_set([says], configuration=other, side=4),
    ]
    ids = [library.add(each) for each in sets]
    stimuli = join_stimuli(list_stimuli(each, set_id) for each, set_id in zip(sets, ids, strict=True))
    study = Study("s", make_emotion_plan(stimuli), sample_sets=tuple(ids))
    store.restore(study, stimuli, answers(stimuli, "s", task="emotion", value=lambda *_: "fear"))
    found = load_study_data(store, library, "s")
    assert found.samples["sample_id"].tolist() == [each.stimulus for each in stimuli]
    assert found.classifiers == ("emotion-mlp", "mini-xception", "tanh-cnn", "small-cnn")
    assert (found.steerer, found.source) == ("emotion-mlp", "people")
    last = found.samples.iloc[-1]
    assert [last[f"p_{name}"] for name in ("surprise", "anger")] == pytest.approx(
        [answer("happiness", "anger", 0.9, 0.05)[0], 0.05]
    )
    assert last["p_mini-xception_happiness"] == pytest.approx(0.5)
    assert np.isnan(last["p_tanh-cnn_happiness"])
    assert (last["passed_filter"], last["passed_small-cnn"]) == (True, False)
    assert len(found.asked) == len(stimuli) - 1  # one on which all agree checks attention
    with pytest.raises(LiminalError, match="nothing"):
        load_study_data(store, library, "nothing")


def test_renaming_there_and_back_changes_nothing():
    made = emotion_set([unanimous(0.5, 0.4, True)])
    other = relabel_guiding_classifier(made.samples, "emotion-mlp", "tanh-cnn")
    assert not other.equals(made.samples)
    assert relabel_guiding_classifier(other, "tanh-cnn", "emotion-mlp").equals(made.samples)


def test_a_set_that_is_gone_is_a_note_and_published_means_are_kept(library):
    said = {"similarity": 40.0, "identity": 0.2, "people": 10.0, "step": 0.25, "distance_dlib": 0.5}
    stimuli = [
        Stimulus("a", ("x", "y"), sample_type="interpolation", base_id="x", details={PUBLISHED_KEY: said}),
        Stimulus("b", (), sample_type="negative", details={PUBLISHED_KEY: {**said, "distance_dlib": 0.8}}),
    ]
    study = Study("paper", make_identity_plan(stimuli), origin="published", sample_sets=("0" * 20,))
    found = build_study_data(study, stimuli, [], rows({"rater": [], "stimulus": [], "task": [], "value": []}), library)
    assert found.source == "published"
    assert len(found.notes) == 1
    assert found.pairs["pair_id"].tolist() == ["a", "b"]
    assert found.pairs["distance_dlib"].tolist() == [0.5, 0.8]
    assert found.pairs["step"].tolist() == [0.25, 0.25]
    assert found.published["identity"].tolist() == [0.2, 0.2]
    assert (found.generator, found.latent_dim, found.thresholds, found.where) == ("", 0, {"dlib": 0.6}, {})  # the paper's
    assert found.samples.empty
    empty = build_study_data(study, [], [], found.ratings, library)
    assert empty.pairs.empty
    assert isinstance(empty.published, pd.DataFrame)
