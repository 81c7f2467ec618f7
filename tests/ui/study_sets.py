"""Small studies for the tests of their pages: made-up faces, a store and a library in a folder of their own."""

import dataclasses
import itertools

import numpy as np

from core.sampling.configuration import IdentityConfiguration
from core.sampling.pictures import PicturePair, PicturePanel, judge_pictures
from core.sampling.sample_set import (
    PAIR_COLUMNS,
    SAMPLE_COLUMNS,
    SampleSet,
    count_sample_types,
    make_pair_id,
    make_sample_id,
    make_table,
)
from core.studies.library import Library
from core.studies.planning import assign_stimuli, list_stimuli, make_emotion_plan, make_identity_plan
from core.studies.ratings import Rating
from core.studies.store import Store
from core.studies.study import Study
from tests.emotion_sets import emotion_set, unanimous
from tests.fakes import FakeClassifier, FakePerceptual, FakeRecogniser

SIDE = 24


def identity_set(number=4):
    """A base, itself and ``number`` others; dlib accepts the first half of them."""
    random = np.random.default_rng(3)
    latents, images, samples, pairs = {}, {}, [], []
    for place in range(number + 1):
        latent = random.normal(size=4).astype(np.float32)
        image = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        name = make_sample_id(latent, image)
        latents[name], images[name] = latent, image
        base, part = next(iter(latents)), "negative" if place else "genuine"
        samples.append(
            {"sample_id": name, "kind": "identity", "seed": place, "base_id": base, "sample_type": part, "step": np.nan}
            | {"image": f"images/{name}.png"}
        )
        distance = 0.0 if place == 0 else 0.3 + 0.5 * (place > number // 2)
        pairs.append(
            {"pair_id": make_pair_id(base, name, part, np.nan, None), "batch": 0, "base_id": base, "sample_id": name}
            | {"sample_type": part, "step": np.nan, "partner_id": "", "direction": "", "strategy": "", "lpips": 0.1}
            | {"latent_distance": 1.0, "distance_dlib": distance, "accepted_dlib": distance < 0.6}
        )
    table = make_table(pairs, PAIR_COLUMNS)
    return SampleSet(
        IdentityConfiguration(),
        make_table(samples, SAMPLE_COLUMNS),
        table,
        latents,
        images,
        {"counts": count_sample_types(table), "seconds": {}},
    )


def faces(number=6):
    """An emotion set: ``number`` faces between surprise and fear, the last one a sure surprise."""
    planted = [unanimous(0.5, 0.4, True)] * (number - 1) + [unanimous(0.95, 0.01, True)]
    return emotion_set(planted, side=SIDE)


def morph_row(levels):
    """An emotion set: one person from surprise to fear, a face a level."""
    row = emotion_set([unanimous(0.5, 0.4, True)] * levels, side=SIDE)
    steps = np.linspace(0, 1, levels)
    samples = row.samples.copy()
    morphs = samples["sample_type"] == "boundary"
    samples.loc[morphs, "step"] = steps
    return dataclasses.replace(row, samples=samples.assign(sample_type=samples["sample_type"].replace("boundary", "morph")))


def own_pictures(monkeypatch, *, pairs=False):
    """Six pictures that somebody brought, alone or each beside the next one, judged by networks that read pixels."""
    monkeypatch.setattr("core.models.framing.frame_for_classifiers", lambda images, frame: images)
    panel = PicturePanel([FakeRecogniser("dlib"), FakeRecogniser("sface")], [FakeClassifier()], FakePerceptual())
    random = np.random.default_rng(5)
    pictures = {f"{name}.png": random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for name in "abcdef"}
    names = list(pictures)
    beside = [PicturePair(*two, sample_type="twins") for two in itertools.pairwise(names)] if pairs else []
    return judge_pictures(pictures, beside, panel=panel)


def made_study(store: Store, library: Library, name: str, sample_set: SampleSet, **values) -> Study:
    """A study about one set; values: of Plan, or of Study (closed, source, origin)."""
    own = {key: values.pop(key) for key in ("closed", "source", "origin", "note") if key in values}
    set_id = library.add(sample_set, f"Faces of {name}")
    stimuli = list_stimuli(sample_set, set_id)
    plan = (make_identity_plan if sample_set.kind == "identity" else make_emotion_plan)(stimuli, **values)
    return store.create(Study(name, plan, sample_sets=(set_id,), **own), stimuli)


def answer_all(store: Store, study: Study, choose, rater=None, source="human"):
    """A person who answers every trial as ``choose(stimulus)`` says; -> the rater."""
    person = store.enrol(study.name, assign_stimuli, rater=rater, source=source)
    task = study.plan.main_task
    rows = [
        Rating(study.name, person.rater, name, task, choose(name), trial=place, reaction_time_ms=700.0 + place, source=source)
        for place, name in enumerate(person.trials)
    ]
    store.save(rows)
    return person
