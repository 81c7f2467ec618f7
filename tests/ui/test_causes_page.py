"""The page 'What matters' with planted results: nothing before it is asked for, then rows, the strip of one, and people."""

import json

import numpy as np
import pytest
import streamlit

from core.analysis.causes import load_limits, measure_effects
from core.models import registry
from core.sampling.change_design import ChangeDesign, choose_latents, list_treatments
from core.sampling.single_changes import JudgedChanges, LatentStrip, StripFrame
from tests.ui.visits import AS_OWNER, IDLE, app, paints_without_torch, words
from ui.analysis import causes
from ui.analysis.causes import cached_causes

MINDED = "glasses"


@pytest.fixture(autouse=True)
def _fresh(idle, place):
    streamlit.cache_resource.clear()


def planted(design):
    """Every network minds one latent alone."""
    random, treatments = np.random.default_rng(2), list_treatments(design)
    faces, shape = design.people, (len(treatments), design.people)
    moved = np.array([MINDED in treatment for treatment in treatments])[:, None]
    near = 0.02 + 0.01 * random.random(shape)
    apart = {name: np.where(moved, 0.3, near) for name in design.recognisers}
    shares = np.full((*shape, 6), 1 / 6)
    shares[np.broadcast_to(moved, shape)] = [0, 1, 0, 0, 0, 0]
    return JudgedChanges(
        design,
        tuple(treatments),
        True,
        np.arange(faces),
        apart,
        {name: values[..., None] + 0.2 for name, values in apart.items()},
        {name: np.full((faces, 1), 0.1) + 0.3 * random.random((faces, 1)) for name in apart},
        dict.fromkeys(design.classifiers, shares),
        dict.fromkeys(design.classifiers, np.full((faces, 6), 1 / 6)),
        1.0,
    )


def strip(name, design):
    shares = {"small-cnn": np.array([0.9, 0.1, 0, 0, 0, 0])}
    frame = StripFrame(0.5, np.zeros((64, 64, 3), np.uint8), dict.fromkeys(design.recognisers, 0.5), shares)
    return LatentStrip(name, frame, (frame,) * 5)


def shown_rows(test):
    return next(json.loads(each.proto.json)["rows"] for each in test.get("bidi_component") if "machine_axis" in each.proto.json)


def test_the_ranking_is_shown_with_faces_and_a_pressed_row_with_its_strip(monkeypatch):
    test = app("what_matters.py")
    assert "6,200 predictions" in words(test)
    assert causes.RANKING_JOB not in test.session_state, "nothing is computed before it is asked for"
    design = ChangeDesign(choose_latents("head"), generator="head")
    table = measure_effects(planted(design), load_limits("head", design.recognisers))
    cached_causes().put(design, table)
    monkeypatch.setattr(causes, "make_strips_job", lambda shown: lambda progress: ())
    test = app("what_matters.py", run="1")
    (_, shown), _ = test.session_state[causes.STRIPS_JOB]
    assert shown.latents[0] == MINDED
    assert len(shown.latents) == causes.SHOWN
    cached_causes().put(("strips", shown), tuple(strip(name, design) for name in shown.latents))
    test = app("what_matters.py", run="1", item=MINDED)
    first = shown_rows(test)[0]
    assert (first["id"], first["group"], first["people"]) == (MINDED, "can be changed", None)
    assert first["machine"]["hollow"] is True
    assert first["low"].startswith("/faces/")
    said = words(test)
    assert "stays locked" in said
    assert "50 people, both ends of each part" in said
    assert "refused" in said
    test = app("what_matters.py", run="1", network="small-cnn", item=MINDED, parts="looks")
    assert shown_rows(test)[0]["machine"]["text"].endswith("% moves")


def test_a_recogniser_without_surrogate_is_told_to_be_slow(monkeypatch):
    monkeypatch.setattr(registry, "DESCRIPTOR_SURROGATES", {})
    test = app("what_matters.py")
    assert "slow" in test.warning[0].value
    assert "true pictures" in words(test)


def test_it_paints_before_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path))
    paints_without_torch("what_matters.py", f"{AS_OWNER}\n{IDLE}")
