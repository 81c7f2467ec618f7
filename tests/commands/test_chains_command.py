"""``python -m core chains``: make, simulate, tell and export without a browser."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from core.__main__ import main
from core.models.contracts import LatentName
from core.sampling import named_slider


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    names = ("smile", "brow_raise", "frown")
    latents = tuple(LatentName("expression", name, "share", -0.3, 1.3, "low .. high") for name in names)
    model = SimpleNamespace(latent_names=latents, card=SimpleNamespace(title="Rendered head"), blocks={"expression": slice(0, 3)})
    monkeypatch.setattr(named_slider, "_load_named", lambda generator: model)


def test_from_making_to_the_table(capsys, tmp_path):
    make = ["chains", "make", "--name", "Kind", "--wording", "Make this face look kind", "--latents", "smile", "--chains", "2"]
    assert main([*make, "--sweeps", "8", "--steps", "20"]) == 0
    printed = capsys.readouterr()
    assert "2 chains of 8 steps over 1 latent, which takes 1 person" in printed.out
    assert "/take-part?making=" in printed.out
    assert "One person made all steps" in printed.err
    plant = ["--plant", "smile=0.9", "brow_raise=-0.1"]
    assert main(["chains", "simulate", "--name", "Afraid", "--target", "fear", "--chains", "4", "--sweeps", "20", *plant]) == 0
    assert "Afraid (simulated): The chains have met" in capsys.readouterr().out
    assert main(["chains", "summary", "Afraid", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["basis"]["source"] == "simulated"
    assert abs(told["latents"][0]["mean"]["value"] - 0.9) < 0.15
    assert main(["chains", "export", "Afraid", "--table", str(tmp_path / "steps.csv")]) == 0
    table = pd.read_csv(tmp_path / "steps.csv")
    assert len(table) == 4 * 20 * 3
    assert set(table["source"]) == {"simulated"}
    assert main(["report", "--study", "Afraid"]) == 2
    assert "'python -m core chains faces Afraid --out DIR' draws them" in capsys.readouterr().err
    assert main(["chains", "list"]) == 0
    assert "Afraid  (fear, simulated, closed): 4 of 4 chains complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["make", "--name", "x", "--target", "fear", "--latents", "grin"], "has no latent 'grin'"),
        (["make", "--name", "x", "--target", "fear", "--sweeps", "0"], "--sweeps must be"),
        (["make", "--name", "x", "--target", "fear", "--base", "nobody"], "nobody"),
        (["simulate", "--name", "x", "--wording", "kind"], "--plant LATENT=VALUE"),
        (["summary", "x"], "no faces made by people called 'x'"),
        (["delete", "x"], "no faces made by people called 'x'"),
    ],
)
def test_bad_input_is_one_sentence(capsys, words, sentence):
    assert main(["chains", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
