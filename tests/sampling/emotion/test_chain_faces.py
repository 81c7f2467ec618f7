"""People's chains as a sample set, judged by planted networks."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.analysis.chains import make_faces, measure_chains
from core.errors import LiminalError
from core.sampling import named_slider
from core.sampling.emotion import chain_faces
from core.sampling.sample_set import SampleSet
from core.studies.chain_simulation import PlantedUtility, simulate_chains
from core.studies.chains import ChainDesign, ChainStudy, SliderLatent, make_step_table
from tests.sampling.emotion.planted import FeelingGenerator, planted_base, planted_panel

NAMES = ("fear", "sadness", "smile")


@pytest.fixture(autouse=True)
def _planted(monkeypatch):
    monkeypatch.setattr(chain_faces, "load_rested_base", lambda generator, base: planted_base().latent)
    monkeypatch.setattr(chain_faces, "load_gallery", lambda generator: SimpleNamespace(base=lambda name: SimpleNamespace(seed=3)))


def study(**values):
    sliders = tuple(SliderLatent(name, -2.0, 2.0) for name in NAMES)
    design = {"latents": sliders, "bases": ("a", "b"), "target": "fear", "chains": 4, "sweeps": 8, "seed": 5}
    return ChainStudy("planted", ChainDesign(**design | values))


def test_the_chains_faces_are_a_set_that_comes_back_from_its_folder(tmp_path):
    made, _, steps = simulate_chains(study(), PlantedUtility({"fear": 1.5, "sadness": -1.0, "smile": 0.0}))
    table = make_step_table(steps)
    found = make_faces(made, table, panel=planted_panel(FeelingGenerator()))
    assert [judged.face.base for judged in found.means] == ["a", "b"]
    assert len(found.faces) == 2 + 4 * 9  # the means; every chain at its start and after each sweep
    ends = measure_chains(made, table).ends
    first = found.means[0]
    assert first.face.values["fear"] == pytest.approx(np.mean([ends[0]["fear"], ends[2]["fear"]]))
    assert np.allclose(first.latent[[1, 4, 6]], [first.face.values[name] for name in NAMES], atol=1e-6)
    assert (first.latent[7:] == planted_base().latent[7:]).all()  # the same person
    samples = found.sample_set.samples
    assert "fear" in (found.sample_set.emotion.emotion1, found.sample_set.emotion.emotion2)
    assert samples["sample_type"].tolist() == ["genuine", *["morph"] * (len(samples) - 1)]
    assert samples["sweep"].max() == 8
    assert found.sample_set.manifest[chain_faces.MADE_KEY]["source"] == "simulated"
    found.sample_set.save(tmp_path / "set")
    loaded = SampleSet.load(tmp_path / "set")
    assert loaded.samples.equals(samples)
    assert loaded.manifest[chain_faces.MADE_KEY]["people"] == table["person"].nunique()


def test_without_an_end_there_is_no_mean_face():
    made, _, steps = simulate_chains(study(), PlantedUtility({}), share=0.05)
    with pytest.raises(LiminalError, match="no mean face"):
        make_faces(made, make_step_table(steps), panel=planted_panel(FeelingGenerator()))


def test_every_value_of_a_slider_is_the_one_asked_for():
    generator = FeelingGenerator()
    rows = named_slider.set_values(generator, planted_base().latent, [{"smile": value, "fear": 0.5} for value in (-1.0, 9.0)])
    assert rows[:, 6].tolist() == [-1.0, 8.0]  # within the latent's range
    assert rows[:, 1].tolist() == [0.5, 0.5]
