"""People's chains as a sample set, judged by planted networks."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.analysis.chains import make_faces, measure_chains
from core.commands.report import open_set
from core.errors import LiminalError
from core.figures.chains import exhibit_made_faces
from core.figures.exhibit import ExhibitView
from core.figures.report import build_report
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling import named_slider
from core.sampling.emotion import chain_faces
from core.sampling.sample_set import MADE_KEY, SampleSet
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
    assert found.sample_set.manifest[MADE_KEY]["source"] == "simulated"
    found.sample_set.save(tmp_path / "set")
    loaded = SampleSet.load(tmp_path / "set")
    assert loaded.samples.equals(samples)
    assert loaded.manifest[MADE_KEY]["people"] == table["person"].nunique()


def test_a_report_of_such_a_set_tells_what_the_chains_came_to(tmp_path):
    made, _, steps = simulate_chains(study(), PlantedUtility({"fear": 1.5, "sadness": -1.0, "smile": 0.0}))
    table = make_step_table(steps)
    found = make_faces(made, table, panel=planted_panel(FeelingGenerator()))
    found.sample_set.save(tmp_path / "set")
    study_data, library = open_set(tmp_path / "set")
    (kept,) = study_data.made.values()
    measured = measure_chains(made, table)
    assert kept.result.to_dict() == measured.to_dict()
    assert [outcome.verdict for outcome in kept.result.latents] == [outcome.verdict for outcome in measured.latents]
    feeling, choices, convergence = exhibit_made_faces(study_data, ExhibitView(), Progress())
    steerer = feeling.data[feeling.data["series"] != "mean face"].iloc[0]
    ends = [judged for judged in found.faces if judged.face.chain >= 0 and judged.face.sweep == 8]
    said = [judged.opinions[study_data.steerer].calibrated[EMOTIONS.index("fear")] for judged in ends]
    assert steerer["value"] == pytest.approx(np.mean(said), abs=1e-6)
    assert steerer["low"] < steerer["value"] < steerer["high"]
    assert steerer["n"] == 4
    for exhibit in (feeling, choices, convergence):
        assert "simulated" in exhibit.source
        assert "simulated, with a planted aim" in exhibit.note
    page = build_report(study_data, library)
    assert "Which face did people make, and have their chains met?" in page
    assert page.count("the mean face of the chains (generated)") == 2  # of each person that chains began with
    assert "made by simulated people with a planted aim" in page
    assert "python -m core chains faces planted --out set-1" in page


def test_without_an_end_there_is_no_mean_face():
    made, _, steps = simulate_chains(study(), PlantedUtility({}), share=0.05)
    with pytest.raises(LiminalError, match="no mean face"):
        make_faces(made, make_step_table(steps), panel=planted_panel(FeelingGenerator()))


def test_every_value_of_a_slider_is_the_one_asked_for():
    generator = FeelingGenerator()
    rows = named_slider.set_values(generator, planted_base().latent, [{"smile": value, "fear": 0.5} for value in (-1.0, 9.0)])
    assert rows[:, 6].tolist() == [-1.0, 8.0]  # within the latent's range
    assert rows[:, 1].tolist() == [0.5, 0.5]
