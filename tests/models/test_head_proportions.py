"""Proportions of faces: brought to their wanted spread, never beyond its limit, and moved by what moves them."""

from __future__ import annotations

import numpy as np
import pytest

from core.models.builtin.head.face_shapes import LOCAL_SHAPES, weigh_shapes
from core.models.builtin.head.geometry import load_geometry
from core.models.builtin.head.latents import INDEX, LATENT_DIM, find_traits, named_values
from core.models.builtin.head.proportions import LIMIT, PROPORTIONS, SPREAD

# what the axes can move freely; widths of the skull are set by shapes of the whole head
FREE = ("nose_length", "chin_height", "eye_distance", "mouth_width", "nose_width", "nose_depth")


def measure(weights: np.ndarray, name: str) -> float:
    geometry = load_geometry()
    points = geometry.add_shapes(geometry.base, np.arange(len(weights)), weights)
    (proportion,) = [entry for entry in PROPORTIONS if entry.name == name]
    return float(sum(factor * points[vertex, axis] for vertex, axis, factor in proportion.parts))


def weigh(latent: np.ndarray) -> np.ndarray:
    return weigh_shapes(named_values(latent), find_traits(latent).ancestry, load_geometry())


def person(**latents: float) -> np.ndarray:
    latent = np.zeros(LATENT_DIM, np.float32)
    for name, value in latents.items():
        latent[INDEX[name]] = value
    return latent


@pytest.mark.parametrize("femininity", [-4.0, 4.0])
def test_a_mean_face_has_the_mean_proportions(femininity):
    weights = weigh(person(femininity=femininity))
    for proportion in PROPORTIONS:
        if proportion.name in FREE:
            masculine, feminine, spread = proportion.wanted
            wanted = feminine if femininity > 0 else masculine
            assert measure(weights, proportion.name) == pytest.approx(wanted, abs=1.2 * spread), proportion.name


def test_no_draw_goes_beyond_the_limit():
    drawn = np.random.default_rng(0).standard_normal((60, LATENT_DIM)).astype(np.float32)
    drawn[:, [INDEX["ancestry_1"], INDEX["ancestry_2"], INDEX["ancestry_3"]]] = 0
    drawn[:, INDEX["femininity"]] = 0
    for shape in LOCAL_SHAPES:
        drawn[:30, INDEX[shape.name]] = np.sign(drawn[:30, INDEX[shape.name]]) * 4
    weights = [weigh(latent) for latent in drawn]
    for proportion in PROPORTIONS:
        if proportion.name in FREE:
            masculine, feminine, spread = proportion.wanted
            values = np.array([measure(row, proportion.name) for row in weights])
            assert np.abs(values - (masculine + feminine) / 2).max() < 1.2 * LIMIT * SPREAD * spread, proportion.name


@pytest.mark.parametrize(
    ("latent", "proportion"), [("nose_length", "nose_length"), ("mouth_width", "mouth_width"), ("eye_spacing", "eye_distance")]
)
def test_a_proportion_still_follows_its_latent(latent, proportion):
    values = [measure(weigh(person(**{latent: number})), proportion) for number in (-3, -1, 0, 1, 3)]
    assert (np.diff(values) > 0).all()
