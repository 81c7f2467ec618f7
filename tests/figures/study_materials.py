"""Made-up studies in the form that exhibits and reports take, without sample sets on disk."""

import numpy as np
import pandas as pd

from core.analysis.study_data import StudyData
from core.sampling.sample_set import make_empty_pairs
from core.studies.exclusions import ExclusionRules, Exclusions
from core.studies.ratings import RATINGS, type_columns
from core.studies.study import RatingPlan, Stimulus, Study
from tests.analysis.rating_tables import emotion_study, identity_study, rows

GENERATOR = "dcgan-sharp"
MINE = {"distance_mine": "distance_dlib", "accepted_mine": "accepted_dlib"}
OTHER = {"distance_other": "distance_sface", "accepted_other": "accepted_sface"}


def identity_material(batches=1, raters=8, *, source="human", origin="here", name="made-up", **options):
    made = identity_study(batches, raters, source=source, **options)
    pairs = made.table.rename(columns=MINE | OTHER)
    stimuli = tuple(
        Stimulus(row.pair_id, (row.base_id, row.sample_id), row.sample_type, row.base_id, row.sample_type == "genuine", "1")
        for row in pairs.itertuples()
    )
    study = Study(name, RatingPlan("identity", 112), source=source, origin=origin)
    return _material(study, stimuli, made.ratings, pairs=pairs, thresholds={"dlib": 0.6, "sface": 0.7})


def emotion_material(*, source="human", name="made-up", **options):
    made = emotion_study(source=source, **options)
    names = {"_other_": "_mini-xception_", "_blind_": "_small-cnn_"}
    samples = made.table.rename(
        columns=lambda column: next((column.replace(a, b) for a, b in names.items() if a in column), column)
    )
    stimuli = tuple(Stimulus(row.sample_id, (row.sample_id,), row.sample_type, row.base_id) for row in samples.itertuples())
    study = Study(name, RatingPlan("emotion", max(1, len(samples))), source=source)
    classifiers = ("emotion-mlp", "mini-xception", "small-cnn")
    return _material(study, stimuli, made.ratings, samples=samples, steerer="emotion-mlp", classifiers=classifiers)


SCALE = {"question": "scale", "wording": "How calm?", "scale_low": "not at all", "scale_high": "very"}
LABELS = ("calm", "neutral", "tense")


def scale_material(raters=20, images=30, *, effect=1.0, name="made-up", seed=0, first=0):
    """Ratings from 1 to 7: a normal one of mean 3.5, with deviations of raters 0.5, of images 0.4 and of answers 0.8, rounded.

    effect: of the images of the type 'b', which every second one is. first: the number of the first rater.
    """
    random = np.random.default_rng(seed)
    of_image = 3.5 + effect * (np.arange(images) % 2) + 0.4 * np.random.default_rng(99).normal(size=images)
    value = of_image + 0.5 * random.normal(size=(raters, 1)) + 0.8 * random.normal(size=(raters, images))
    return _own_question_material(np.clip(np.round(value), 1, 7).astype(int).astype(str), "scale", SCALE, name, first)


def label_material(raters=20, images=30, *, effect=1.5, name="made-up", seed=0, first=0):
    """Three labels by log odds 0.3, 0 and -0.3 with deviations of raters 0.5 and of images 0.4 for the first label.

    effect: of the images of the type 'b' on the first label, 'calm'. first: the number of the first rater.
    """
    random = np.random.default_rng(seed)
    of_image = effect * (np.arange(images) % 2) + 0.4 * np.random.default_rng(99).normal(size=images)
    calm = 0.3 + of_image + 0.5 * random.normal(size=(raters, 1))
    odds = np.exp(np.stack([calm, np.zeros_like(calm), np.full_like(calm, -0.3)], axis=2))
    p = (odds / odds.sum(axis=2, keepdims=True)).cumsum(axis=2)
    chosen = (random.random((raters, images, 1)) > p).sum(axis=2)
    return _own_question_material(np.array(LABELS)[chosen], "label", {"question": "labels", "labels": LABELS}, name, first)


def _own_question_material(values, task, question, name, first):
    """values: of every rater about every image (R, I), as text."""
    raters, images = values.shape
    ids = [f"i{number:02d}" for number in range(images)]
    samples = pd.DataFrame({"sample_id": ids, "base_id": ids, "sample_type": ["ab"[number % 2] for number in range(images)]})
    samples = samples.assign(emotion1=None, emotion2=None).astype("str")  # made between no two feelings, as own pictures are
    rater = np.repeat(np.arange(raters) + first, images)
    answers = rows({"rater": [f"r{each:02d}" for each in rater], "stimulus": ids * raters, "task": task, "value": values.ravel()})
    stimuli = tuple(Stimulus(row.sample_id, (row.sample_id,), row.sample_type, row.base_id) for row in samples.itertuples())
    return _material(Study(name, RatingPlan("emotion", images, **question)), stimuli, answers, samples=samples)


def nobody():
    """No answers at all."""
    return type_columns(pd.DataFrame(columns=list(RATINGS)))


def _material(study, stimuli, ratings, **values):
    usual = {
        "pairs": make_empty_pairs(),
        "samples": pd.DataFrame(columns=["sample_id"]),
        "thresholds": {},
        "steerer": "",
        "classifiers": (),
    }
    return StudyData(
        study=study,
        stimuli=stimuli,
        raters=(),
        ratings=ratings,
        sets=(),
        generators={},
        where={},
        exclusions=Exclusions(ExclusionRules(), tuple(sorted(ratings["rater"].unique()))),
        generator=GENERATOR,
        latent_dim=100,
        notes=(),
        **usual | values,
    )
