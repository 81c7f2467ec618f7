"""Faces made by people in the store, on both databases: nobody shares a step, and nothing chosen is lost."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from core.errors import LiminalError
from core.studies import chain_store as module
from core.studies.chain_simulation import PlantedUtility, simulate_chains
from core.studies.chain_store import FORGOTTEN, ChainStore, StepTaken
from core.studies.chains import ChainDesign, ChainStudy, SliderLatent
from core.studies.recruitment import StudyFull
from core.studies.storage.backup import restore_backup, write_backup

LATENTS = (SliderLatent("smile", -0.3, 1.3), SliderLatent("brow_raise", -0.4, 1.2))


def design(**values):
    return ChainDesign(
        **{"latents": LATENTS, "bases": ("a",), "target": "fear", "chains": 2, "sweeps": 2, "steps_each": 4, **values}
    )


@pytest.fixture
def chains(store_url):
    opened = ChainStore(store_url)
    yield opened
    opened.dispose()


def test_a_chain_is_passed_from_person_to_person_and_comes_back_whole(chains):
    study = chains.create(ChainStudy("afraid", design()))
    assert chains.study_of(study.token) == study == chains.studies()[0]
    first, second = chains.enrol("afraid"), chains.enrol("afraid")
    offered = chains.next_step(first.code)
    assert offered == chains.next_step(first.code)  # the same until it is chosen
    value = chains.choose(first.code, offered.chain, offered.iteration, 20, reaction_time_ms=900.0)
    assert value == offered.latent.high
    assert chains.choose(first.code, offered.chain, offered.iteration, 3) == value  # sent twice: the first counts
    # the next of that chain stands on it, and is somebody else's
    for code in [second.code, first.code] * 4:
        step = chains.next_step(code)
        if (step.chain, step.iteration) == (offered.chain, 1):
            assert step.values[offered.latent.name] == value
            assert code == second.code
        ahead = chains.foresee_step(code)
        assert ahead is None or (ahead.chain, ahead.done) != (step.chain, step.done)
        chains.choose(code, step.chain, step.iteration, 10)
        if chains.progress("afraid").steps == 8:
            break
    table = chains.steps("afraid")
    assert table.groupby("person").size().tolist() == [4, 4]
    assert table["reaction_time_ms"].max() == 900.0
    with pytest.raises(StudyFull):
        chains.next_step(first.code)
    assert chains.person(first.code).finished_at is not None
    with pytest.raises(StudyFull):
        chains.enrol("afraid")


def test_the_next_step_is_foreseen(chains):
    chains.create(ChainStudy("ahead", design(chains=3, steps_each=6)))
    person = chains.enrol("ahead")
    step = chains.next_step(person.code)
    for _ in range(5):
        ahead = chains.foresee_step(person.code)
        chains.choose(person.code, step.chain, step.iteration, 3)
        step = chains.next_step(person.code)
        assert step == ahead
    assert chains.foresee_step(person.code) is None


def test_two_people_never_have_the_same_step(chains):
    chains.create(ChainStudy("crowd", design(chains=3, sweeps=8, steps_each=8)))
    people = [chains.enrol("crowd") for _ in range(6)]
    taken, waited, errors = [], [], []

    def work(code):
        try:
            while True:
                step = chains.next_step(code)
                if step is None:
                    waited.append(code)
                    continue
                chains.choose(code, step.chain, step.iteration, 5)
                taken.append((step.chain, step.iteration))
        except StudyFull:
            return
        except Exception as error:  # what a thread raises is lost otherwise
            errors.append(error)

    threads = [threading.Thread(target=work, args=(person.code,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sorted(taken) == [(chain, iteration) for chain in range(3) for iteration in range(16)]


def test_an_abandoned_step_is_handed_out_again(chains, monkeypatch):
    chains.create(ChainStudy("left", design(chains=1, bases=("a",))))
    gone, other = chains.enrol("left"), chains.enrol("left")
    step = chains.next_step(gone.code)
    assert chains.next_step(other.code) is None  # somebody else is at it
    monkeypatch.setattr("core.studies.chains.STEP_TIMEOUT", timedelta(0))
    assert chains.next_step(other.code).iteration == step.iteration
    with pytest.raises(StepTaken):
        chains.choose(gone.code, step.chain, step.iteration, 4)
    chains.choose(other.code, step.chain, step.iteration, 7)
    assert chains.steps("left")["person"].tolist() == [other.person]


def test_everybody_has_a_chain_of_their_own_and_whoever_stops_leaves_room(chains, monkeypatch):
    chains.create(ChainStudy("own", design(passed_on=False, chains=1)))
    first = chains.enrol("own")
    with pytest.raises(StudyFull):
        chains.enrol("own")
    monkeypatch.setattr(module, "CHAIN_TIMEOUT", timedelta(0))
    second = chains.enrol("own")
    assert (first.chain, second.chain) == (0, 1)
    for _ in range(4):
        step = chains.next_step(second.code)
        assert step.chain == 1
        chains.choose(second.code, 1, step.iteration, 0)
    with pytest.raises(StudyFull):
        chains.next_step(second.code)
    assert chains.next_step(first.code).chain == 0  # who comes back goes on
    assert chains.progress("own").complete == 1


def test_closing_forgetting_deleting_and_bad_input(chains):
    chains.create(ChainStudy("mine", design()))
    person = chains.enrol("mine")
    step = chains.next_step(person.code)
    with pytest.raises(LiminalError, match="pictures 0 to 20"):
        chains.choose(person.code, step.chain, step.iteration, 21)
    chains.choose(person.code, step.chain, step.iteration, 1)
    chains.close("mine")
    with pytest.raises(StudyFull):
        chains.next_step(person.code)
    assert chains.forget("mine", person.person) == 1
    assert chains.steps("mine")["person"].tolist() == [FORGOTTEN]
    with pytest.raises(LiminalError, match="already"):
        chains.create(ChainStudy("mine", design()))
    chains.delete("mine")
    with pytest.raises(LiminalError, match="no faces made by people called 'mine'"):
        chains.study("mine")
    for values, sentence in (
        ({"target": "hunger"}, "no feeling 'hunger'"),
        ({"target": ""}, "Say what people are to make"),
        ({"latents": ()}, "1 to 60 different"),
        ({"bases": ("a", "b", "c")}, "cannot begin with 3 people"),
        ({"sweeps": 0}, "'sweeps' must be"),
    ):
        with pytest.raises(LiminalError, match=sentence):
            design(**values)


def test_a_backup_holds_them(chains, store_url, tmp_path):
    study, people, steps = simulate_chains(ChainStudy("kept", design()), PlantedUtility({"smile": 0.5}))
    chains.restore(study, people, steps)
    write_backup(tmp_path / "all.sqlite", store_url)
    restore_backup(tmp_path / "all.sqlite", f"sqlite:///{tmp_path / 'other.sqlite'}")
    other = ChainStore(f"sqlite:///{tmp_path / 'other.sqlite'}")
    assert other.steps("kept").equals(chains.steps("kept"))
    assert other.study("kept") == replace(study, enrolled=len(people))
    assert other.study("kept").source == "simulated"
    other.dispose()
