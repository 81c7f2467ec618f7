"""A small study with planted truths: images are vectors, a network reads them, people answer through a bias of their own."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from torch import nn

from core.alignment.alignment import Inputs, Sources, open_alignment
from core.alignment.configuration import AlignmentConfiguration
from core.alignment.data import ReferenceLabels, collect_answers, split_answers
from core.alignment.networks import Learner
from core.models.emotions import EMOTIONS
from tests.analysis.rating_tables import rows

DIM = 12


def network(name="emotion-mlp", outputs=6, seed=0):
    """Knows roughly what the images show. A copy of its own each time."""
    return copy.deepcopy(_taught(name, outputs, seed))


@cache
def _taught(name, outputs, seed):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(DIM, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU())
    made = Learner(name, body, nn.Linear(32, outputs))
    images = torch.randn(2000, DIM)
    target = (images @ TRUTH_OLD).argmax(dim=1) % outputs
    adam = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(60):
        adam.zero_grad()
        nn.functional.cross_entropy(made(images), target).backward()
        adam.step()
    return made


def _truth(seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(DIM, 6)).astype(np.float32))


TRUTH_OLD, TRUTH_NEW = _truth(1), 0.6 * _truth(1) + 0.8 * _truth(2)
"""What the network was taught, and what people go by: related, so that there is something to learn."""


def people(images, raters, each, *, bias=1.2, seed=0, acuity=1.0):
    """(I, DIM) -> answers of people, each about ``each`` images, with biases of log units drawn from N(0, bias^2); and biases."""
    random = np.random.default_rng(seed)
    evidence = acuity * (images @ TRUTH_NEW.numpy())
    leaning = bias * random.normal(size=(raters, 6))
    leaning -= leaning.mean(axis=1, keepdims=True)
    columns = {"rater": [], "stimulus": [], "value": []}
    for rater in range(raters):
        for place in random.permutation(len(images))[:each]:
            p = softmax(evidence[place] + leaning[rater])
            columns["rater"].append(f"r{rater:02d}")
            columns["stimulus"].append(f"i{place:04d}")
            columns["value"].append(EMOTIONS[int(random.choice(6, p=p))])
    return rows({**columns, "task": "emotion"}, source="simulated"), leaning


def study(folder, *, images=240, raters=10, each=160, bias=1.2, seed=0, learner=None, ratings=None, **options):
    """-> an Alignment in ``folder`` whose networks and inputs are made up, and the people's biases (raters, 6)."""
    defaults = {"rate": 5e-3, "epochs": 12, "batch": 64, "reference_faces": 60}
    configuration = AlignmentConfiguration(**{**defaults, **options})
    random = np.random.default_rng(100 + seed)
    shown = random.normal(size=(images, DIM)).astype(np.float32)
    made, leaning = people(shown, raters, each, bias=bias, seed=seed)
    answers = collect_answers(made if ratings is None else ratings(made))
    plain = random.normal(size=(60, DIM)).astype(np.float32)
    labels = ReferenceLabels("made-up", tuple(range(60)), softmax(plain @ TRUTH_OLD.numpy(), axis=1).astype(np.float32))
    places = [int(name[1:]) for name in answers.images]
    given = Inputs(torch.from_numpy(shown[places]), torch.from_numpy(plain))
    sources = Sources(lambda classifier, progress: given, learner or network)
    split = split_answers(answers, configuration)
    return open_alignment("made-up", configuration, answers, split, labels, sources, folder), leaning


def frame(raters=4, images=40, seed=0):
    """Random answers of everybody to everything."""
    random = np.random.default_rng(seed)
    every = pd.MultiIndex.from_product([[f"r{n}" for n in range(raters)], [f"i{n}" for n in range(images)]]).to_frame()
    return rows(
        {
            "rater": every[0].tolist(),
            "stimulus": every[1].tolist(),
            "value": [EMOTIONS[n] for n in random.integers(0, 6, len(every))],
            "task": "emotion",
        }
    )
