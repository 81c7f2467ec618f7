"""A study of made-up faces with networks that read a vector of each: learning from people in seconds, for tests of its pages."""

from dataclasses import replace

import numpy as np
import torch

from core.alignment import alignment as aligned
from core.alignment.configuration import AlignmentConfiguration, list_learners
from core.alignment.data import ReferenceLabels, emotion_answers, find_study_generator, split_answers
from core.alignment.store import alignments_folder
from core.models.emotions import EMOTIONS
from core.studies.planning import assign_stimuli
from core.studies.ratings import Rating
from tests.alignment import made_up
from tests.emotion_sets import GENERATOR
from tests.ui.study_sets import faces, made_study

FACES, PEOPLE = 45, 8
NETWORK = list_learners(GENERATOR)[0]
"""What learns first from a study of made-up faces."""


def vector(name):
    """What the networks read of a face."""
    return np.random.default_rng(int(name[:8], 16)).normal(size=made_up.DIM).astype(np.float32)


def unsure(name):
    """A network that is less sure of itself than the made-up one: people's leanings show where an image is unclear."""
    network = made_up.network(name)
    with torch.no_grad():
        network.head.weight *= 0.3
        network.head.bias *= 0.3
    return network


def begun(material, library, configuration=None, *, folder=None):
    """``begin`` with made-up inputs and networks."""
    configuration = replace(configuration or AlignmentConfiguration(), reference_faces=10)
    answers = emotion_answers(material)
    plain = np.random.default_rng(1).normal(size=(10, made_up.DIM)).astype(np.float32)
    labels = ReferenceLabels(find_study_generator(material), tuple(range(10)), np.full((10, 6), 1 / 6, np.float32))
    given = aligned.Inputs(torch.from_numpy(np.stack([vector(name) for name in answers.images])), torch.from_numpy(plain))
    sources = aligned.Sources(lambda name, told: given, unsure)
    split = split_answers(answers, configuration)
    return aligned.open_alignment(
        material.study.name, configuration, answers, split, labels, sources, folder or alignments_folder()
    )


def asked(store, library, name="feelings", people=PEOPLE, **options):
    """A study whose people mostly say what the face's vector says, each leaning to a feeling of their own."""
    study = made_study(store, library, name, faces(FACES), source="simulated", demographics=False, **options)
    sentinels = {each.stimulus for each in store.stimuli(name) if each.is_sentinel}
    for number in range(people):
        random = np.random.default_rng(number)
        person = store.enrol(name, assign_stimuli, rater=f"p{number}", source="simulated")
        rows = []
        for trial, stimulus in enumerate(person.trials):
            seen = vector(stimulus) @ made_up.TRUTH_NEW.numpy() + 1.5 * np.eye(6)[number % 6] + random.normal(size=6)
            rows.append(
                Rating(name, person.rater, stimulus, "emotion", EMOTIONS[int(seen.argmax())], trial=trial)
                if stimulus not in sentinels
                else Rating(name, person.rater, stimulus, "emotion", "surprise", trial=trial, is_sentinel=True)
            )
        store.save([replace(row, source="simulated", reaction_time_ms=900.0) for row in rows])
    return study
