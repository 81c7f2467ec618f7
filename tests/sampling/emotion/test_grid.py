import numpy as np
import pytest

from core.errors import LiminalError
from core.sampling.emotion.grid import make_grid
from tests.sampling.emotion.planted import FeelingGenerator, configuration, planted_base, planted_panel, ways


def test_each_cell_has_its_two_strengths_on_the_same_person():
    panel = planted_panel(FeelingGenerator())
    found = make_grid(configuration(), 3, base=planted_base(), panel=panel)
    assert found.strengths == (0.0, 0.5, 1.0)
    cells = found.latents.reshape(3, 3, -1)
    assert (cells[:, 0, 1].tolist(), cells[0, :, 4].tolist()) == ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])  # fear down, sadness across
    assert not cells[..., [0, 2, 3, 5, 6]].any()
    assert (cells[..., 7:] == planted_base().latent[7:]).all()
    logits = cells @ ways().numpy() / 2  # calibrated at the planted temperature 2
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    assert np.allclose(found.shares("planted-mlp"), p[..., 4] / (p[..., 1] + p[..., 4]), atol=0.02)  # pictures have 255 levels


def test_what_cannot_be_a_grid_is_one_sentence():
    panel = planted_panel()
    for side, says in ((7, "named expressions"), (2, "from 3 to 15")):
        with pytest.raises(LiminalError, match=says) as error:
            make_grid(configuration(), side, base=planted_base(), panel=panel)
        assert "\n" not in str(error.value)
