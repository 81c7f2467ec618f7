"""Faces made by people on their pages: the owner's, and a person's way from consent to thanks."""

import numpy as np
import pytest
import streamlit

from core.sampling import named_slider
from core.sampling.stored.gallery import load_gallery
from core.studies.chain_simulation import PlantedUtility, simulate_chains
from core.studies.chain_store import ChainStore
from core.studies.chains import ChainDesign, ChainStudy, SliderLatent
from tests.ui.visits import app, paints_without_torch, words
from ui.studies import chains_page, face_making, owner_gate

LATENTS = (SliderLatent("smile", -0.3, 1.3, "corners of the mouth drawn up"), SliderLatent("brow_raise", -0.4, 1.2))


@pytest.fixture(autouse=True)
def _fresh(idle, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    monkeypatch.setattr(owner_gate, "is_allowed", lambda: True)
    streamlit.cache_resource.clear()
    yield
    streamlit.cache_resource.clear()


def make(**values):
    base = load_gallery("head").bases[0].base_id
    settings = {"latents": LATENTS, "bases": (base,), "target": "fear", "chains": 2, "sweeps": 1, "steps_each": 2}
    return ChainStudy("Afraid", ChainDesign(**settings | values))


def test_a_person_makes_faces_from_consent_to_thanks(monkeypatch):
    monkeypatch.setattr(named_slider, "draw_slider", lambda *_: np.zeros((21, 8, 8, 3), np.uint8))
    store = ChainStore()
    study = store.create(make())
    test = app("take_part.py", making=study.token)
    assert "Make this face look as afraid as you can" in words(test)
    test.button(key="agree").click().run()
    code = test.query_params["code"][0] if isinstance(test.query_params["code"], list) else test.query_params["code"]
    assert "1 of 2" in words(test)
    for turn in range(2):
        offered = store.next_step(code)
        choice = {"chain": offered.chain, "iteration": offered.iteration, "frame": 20, "milliseconds": 700, "moves": 3}
        face_making.keep_choice(code, choice)
        test.run()
        assert ("2 of 2" if turn == 0 else "Your choices (2) are kept") in words(test)
    highest = [study.design.latent_of(chain, 0).high for chain in (0, 1)]
    assert store.steps("Afraid")["value"].tolist() == highest
    assert "no study" in words(app("take_part.py", making="nothing"))


def test_what_simulated_people_made_is_marked_and_told(monkeypatch):
    planted = PlantedUtility({"smile": 0.2, "brow_raise": 1.0})
    made, people, steps = simulate_chains(make(sweeps=12, chains=4, steps_each=24), planted)
    store = ChainStore()
    store.restore(made, people, steps)
    monkeypatch.setattr(chains_page, "_show_faces", lambda *_: None)
    test = app("making.py", made="Afraid")
    said = words(test)
    assert ">simulated<" in said
    assert "Have the chains met?" in said
    assert "These people are simulated" in said
    assert ">simulated<" in words(app("making.py"))


def test_the_form_says_how_many_people_it_takes():
    test = app("making.py", new="1")
    assert "people</b><span>are needed in all" in words(test)
    test.text_input(key="making-name").set_value("Kind").run()
    test.button(key="make-chains").click().run()
    assert "Send this link" in words(test)
    assert ChainStore().study("Kind").design.target == "fear"


def test_the_page_paints_without_torch():
    paints_without_torch("making.py", "from ui.studies import owner_gate; owner_gate._is_local = lambda: True")
