"""Made-up studies in the form that exhibits and reports take, without sample sets on disk."""

import pandas as pd

from core.analysis.study_data import StudyData
from core.sampling.sample_set import make_empty_pairs
from core.studies.exclusions import ExclusionRules, Exclusions
from core.studies.ratings import RATINGS, type_columns
from core.studies.study import RatingPlan, Stimulus, Study
from tests.analysis.rating_tables import emotion_study, identity_study

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
