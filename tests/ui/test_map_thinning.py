"""The faces that a crowded map shows as pictures, worked out in the browser: none overlaps, and going closer only adds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ui.components import COMPONENTS

GAP = 50.0


@pytest.mark.browser
@pytest.mark.parametrize("count", [246, 20000])
def test_no_two_pictures_overlap_and_going_closer_only_adds(chromium, count):
    random = np.random.default_rng(1)
    places = np.concatenate([random.normal(size=(count - 4, 2)), np.full((3, 2), 0.5), [[np.nan, np.nan]]]).astype(np.float32)
    page = chromium.new_page()
    page.add_script_tag(content=(COMPONENTS / "map_thinning.js").read_text() + "\nwindow.Thinning = Thinning;")
    shown = page.evaluate(
        """([places, gap, scales]) => {
          const thinning = new Thinning(Float32Array.from(places, (each) => each ?? NaN), places.length / 2, gap, 100);
          return scales.map((scale) => {
            const level = thinning.reach(scale);
            return Array.from(thinning.since.keys()).filter((i) => thinning.since[i] <= level);
          });
        }""",
        [[None if np.isnan(each) else float(each) for each in places.ravel()], GAP, [50, 100, 130, 800]],
    )
    page.close()
    for scale, rows in zip([50, 100, 130, 800], shown, strict=True):
        at = places[rows].astype(np.float64) * scale
        apart = np.abs(at[:, None] - at[None]).max(axis=2)
        np.fill_diagonal(apart, np.inf)
        assert apart.min() >= 0.999 * GAP
        assert np.isfinite(at).all()
    assert [set(before) <= set(after) for before, after in pairwise(shown)] == [True] * 3
    assert 5 < len(shown[0]) < len(shown[1]) <= len(shown[2]) < len(shown[3]) < count
    missed = np.setdiff1d(np.flatnonzero(np.isfinite(places).all(axis=1)), shown[1])  # nobody is left out without reason
    nearest = np.abs(places[missed, None] - places[shown[1]][None]).max(axis=2).min(axis=1) * 100
    assert nearest.max() < GAP
