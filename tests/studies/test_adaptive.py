"""Adaptive studies from the axis to each person's threshold, with planted observers and networks."""

from dataclasses import replace

import numpy as np
import pytest

from core.alignment.psi import PsiChooser
from core.alignment.thresholds import measure_thresholds
from core.errors import LiminalError
from core.sampling import axis_sets
from core.sampling.axis_sets import make_identity_axes
from core.studies.adaptive import list_axes, make_adaptive_assignment
from core.studies.adaptive_simulation import simulate_adaptive_study
from core.studies.exporting.bundle import make_data_card
from core.studies.library import Library
from core.studies.planning import list_stimuli, prepare_study
from core.studies.ratings import Rating, make_ratings_table
from core.studies.store import Store
from core.studies.study import RatingPlan, Study
from tests.fakes import FakeRecogniser, fake_panel
from tests.sampling.test_single_changes import NamedGenerator


@pytest.fixture(scope="module")
def axes_set():
    panel = replace(fake_panel(FakeRecogniser(threshold=0.2)), generator=NamedGenerator())
    return make_identity_axes(people=1, latents=("part_3",), generator="head", panel=panel)


def prepared_study(axes_set, folder):
    library = Library(folder / "sets")
    set_id = library.add(axes_set)
    return library, set_id, prepare_study(library, [set_id], adaptive=True, stop_width=0.15)


def test_an_axis_set_has_levels_that_can_be_asked_again(axes_set, tmp_path):
    _, set_id, prepared = prepared_study(axes_set, tmp_path)
    axes = list_axes(prepared.plan, prepared.stimuli)
    assert [axis.name for axis in axes] == ["two people, 1", "part 3"]
    assert all(len(axis.levels) == axis_sets.LEVELS for axis in axes)
    assert all(len(names) == axis_sets.REPEATS for axis in axes for names in axis.stimuli)
    assert prepared.plan.trials == 80
    assert "along 2 axes" in " ".join(prepared.notes)
    assert sum(stimulus.is_sentinel for stimulus in list_stimuli(axes_set, set_id)) == 2


def test_ends_that_look_alike_are_a_sentence():
    panel = replace(fake_panel(FakeRecogniser(threshold=1e6)), generator=NamedGenerator())
    with pytest.raises(LiminalError, match="'part 3' look alike"):
        make_identity_axes(people=0, latents=("part_3",), generator="head", panel=panel)
    with pytest.raises(LiminalError, match="1 to 12 axes"):
        make_identity_axes(people=0, generator="head", panel=panel)


def test_a_rater_is_asked_on_and_can_come_back(axes_set, tmp_path):
    _, _, prepared = prepared_study(axes_set, tmp_path)
    store, chooser = Store(f"sqlite:///{tmp_path / 'studies.sqlite'}"), PsiChooser()
    store.create(Study("axes", prepared.plan), prepared.stimuli)
    rater = store.enrol("axes", make_adaptive_assignment(chooser, make_ratings_table([])))
    assert len(rater.trials) == 2
    store.save([Rating("axes", rater.rater, name, task, "1") for name in rater.trials for task in ("similarity", "identity")])
    fresh = [stimulus.stimulus for stimulus in prepared.stimuli if stimulus.stimulus not in rater.trials][:2]
    extended = store.extend(rater.code, fresh)
    assert extended.trials == (*rater.trials, *fresh)
    assert store.extend(rater.code, fresh).trials == extended.trials, "twice is once"
    assert store.rater(rater.code).trials == extended.trials
    store.save([Rating("axes", rater.rater, fresh[0], "identity", "0")])
    assert len(store.rater_ratings(rater)) == 2 * len(rater.trials) + 1
    with pytest.raises(LiminalError, match="only stimuli of its study"):
        store.extend(rater.code, ["nothing"])
    store.dispose()


def test_simulated_people_networks_and_the_group_flip_on_the_same_axis(axes_set, tmp_path, monkeypatch):
    _, set_id, prepared = prepared_study(axes_set, tmp_path)
    level = {
        name: at / 20 for axis in list_axes(prepared.plan, prepared.stimuli) for at, row in enumerate(axis.stimuli) for name in row
    }
    seen = {stimulus.stimulus: 0.3 + 0.5 * level.get(stimulus.stimulus, 0.0) for stimulus in prepared.stimuli}
    monkeypatch.setattr("core.studies.adaptive_simulation.perceive_stimuli", lambda kind, sets: seen)
    made = simulate_adaptive_study("axes", prepared, {set_id: axes_set}, lambda rows: PsiChooser(0.15), raters=8, seed=4)
    assert "Order: adaptive" in make_data_card(made.study, made.stimuli, made.raters, made.ratings, (), False)
    asked = made.ratings[made.ratings["task"] == "identity"].groupby("rater").size()
    assert asked.max() <= 82
    verdicts = {"planted": {name: 0.9 * at for name, at in level.items()}}
    results = measure_thresholds(prepared.plan, made.stimuli, made.ratings, verdicts)
    for result in results:
        # observers say 'two people' beyond a dissimilarity of 0.56 on average: at 0.52 of the way
        assert abs(result.group.value - 0.52) < 0.15
        assert result.networks[0].level == pytest.approx(0.5 / 0.9, abs=0.01)
        assert result.basis.source == "simulated"
        assert len(result.curve) == 41
    always = made.ratings.assign(value=np.where(made.ratings["task"] == "identity", "1", made.ratings["value"]))
    (first, _) = measure_thresholds(prepared.plan, made.stimuli, always, {})
    assert "No answer flipped" in first.note
    assert "one and the same answer" in first.note


def test_an_adaptive_plan_asks_a_question_that_has_axes():
    with pytest.raises(LiminalError, match="An adaptive study asks"):
        RatingPlan("identity", 5, question="scale", wording="How?", scale_low="a", scale_high="b", adaptive=True)
    assert "adaptive" not in RatingPlan("identity", 5).to_dict(), "ids of old studies stay"
