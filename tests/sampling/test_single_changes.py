"""Single changes against planted networks: each looks at one latent alone, and no other may be blamed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from core.analysis.causes import Limit, measure_effects, measure_interaction, measure_pair_distances, measure_people
from core.errors import Cancelled, LiminalError
from core.models.contracts import LatentName
from core.progress import Progress
from core.sampling.change_design import (
    CHANGES_KEY,
    ChangeDesign,
    choose_latents,
    describe_cost,
    describe_latent,
    list_pair_treatments,
)
from core.sampling.sample_set import SampleSet
from core.sampling.single_changes import ChangePanel, judge_changes, make_change_set, make_strips
from core.studies.planning import list_stimuli
from core.studies.ratings import make_ratings_table
from tests.fakes import LATENT_DIM, FakeClassifier, FakeGenerator, FakeRecogniser, FakeSurrogate, fake_panel

NAMES = tuple(f"part_{place}" for place in range(LATENT_DIM))
SEEN, FELT = "part_3", "part_6"
LIMITS = {"fake": Limit(0.2)}


class NamedGenerator(FakeGenerator):
    def __init__(self):
        super().__init__()
        self.blocks = {"identity": slice(0, 5), "expression": slice(5, 7), "scene": slice(7, 8)}
        self.latent_names = tuple(LatentName("identity", name, "share", -3, 3, "low .. high") for name in NAMES)

    def named_values(self, latents):
        return [dict(zip(NAMES, row.tolist(), strict=True)) for row in latents]


class OneEyed(FakeRecogniser):
    """Looks at one latent alone."""

    def embed_chips(self, chips):
        return self._read(chips) * (torch.arange(LATENT_DIM) == NAMES.index(SEEN))


class OneFeeling(FakeClassifier):
    def logits(self, images):
        said = torch.zeros(len(images), 6)
        said[:, 1] = 8 * images.flatten(1)[:, NAMES.index(FELT)]
        return said


class OneEyedSurrogate(FakeSurrogate):
    def __init__(self):
        super().__init__()
        self.classifiers = ("fake-emotion",)

    def descriptors(self, latents, recogniser):
        return latents * (torch.arange(LATENT_DIM) == NAMES.index(SEEN))

    def logits(self, latents):
        return torch.nn.functional.pad(latents[:, NAMES.index(FELT), None], (1, 4))[:, None]


def design(**values):
    usual = {"latents": NAMES, "recognisers": ("fake",), "classifiers": ("fake-emotion",), "people": 12, "contexts": 2}
    return ChangeDesign(**{**usual, **values})


def panel(surrogate=None):
    return ChangePanel(NamedGenerator(), {"fake": OneEyed()}, {"fake-emotion": OneFeeling()}, surrogate)


@pytest.mark.parametrize("predicted", [False, True])
def test_a_network_that_looks_at_one_latent_alone_is_found_out(predicted):
    changes = judge_changes(design(), predicted=predicted, panel=panel(OneEyedSurrogate() if predicted else None))
    table = measure_effects(changes, LIMITS)
    assert table.people == 12
    assert table.faces == 24
    assert table.predicted is predicted
    first, *others = table.rank("fake")
    assert first.name == SEEN
    assert first.distance["fake"].low > 0.3
    assert first.distance["fake"].n == 12
    assert first.refused["fake"].low > 0, "the owner is refused more often"
    assert all(abs(effect.distance["fake"].value) < 1e-4 for effect in others)
    felt, *unfelt = table.rank("fake-emotion", "probability")
    emotion, gained = felt.leans["fake-emotion"]
    assert felt.name == FELT
    assert emotion == "fear"
    assert gained.value > 0.1
    assert all(effect.probability["fake-emotion"].value < 1e-4 for effect in unfelt)


def test_faces_are_the_same_whatever_else_is_moved_and_whoever_else_is_drawn():
    many = judge_changes(design(), predicted=False, panel=panel())
    few = judge_changes(design(latents=(SEEN,), people=10), predicted=False, panel=panel())
    at = 2 * NAMES.index(SEEN)
    assert np.array_equal(many.distances["fake"][at : at + 2, :20], few.distances["fake"])


def test_two_latents_act_together_where_a_network_multiplies_them():
    class Product(FakeRecogniser):
        def embed_chips(self, chips):
            read = self._read(chips)
            return (read[:, 1:2] * read[:, 2:3]).clamp(min=0)

    made = panel()
    made.recognisers["fake"] = Product()
    of_two = design(latents=(NAMES[1], NAMES[2]), people=40)
    treatments = list_pair_treatments(of_two, NAMES[1], NAMES[2])
    table = measure_interaction(judge_changes(of_two, predicted=False, treatments=treatments, panel=made), LIMITS)
    distance = next(row for row in table.rows if row.measure == "distance")
    assert distance.contrast.low > 0.5, "low-low and high-high are 2.7, the others 0"
    made.recognisers["fake"] = OneEyed()
    alone = measure_interaction(judge_changes(of_two, predicted=False, treatments=treatments, panel=made), LIMITS)
    assert next(row for row in alone.rows if row.measure == "distance").contrast.value == pytest.approx(0, abs=1e-6)
    with pytest.raises(LiminalError, match="cannot interact with itself"):
        list_pair_treatments(of_two, "glasses", "glasses")


def test_who_is_stopped_keeps_the_people_that_are_done():
    progress = Progress()
    progress.report = lambda event: progress.cancel.set() if "person 4 of 12" in event.message else None
    changes = judge_changes(design(), predicted=False, panel=panel(), progress=progress)
    table = measure_effects(changes, LIMITS)
    assert changes.people in (3, 4)
    assert "stopped after" in table.note
    assert "Only" in table.note
    assert table.rank("fake")[0].name == SEEN
    cancelled = Progress()
    cancelled.cancel.set()
    with pytest.raises(Cancelled):
        judge_changes(design(), predicted=False, panel=panel(), progress=cancelled)


def test_pairs_become_a_study_whose_people_are_read_latent_by_latent(tmp_path):
    models = replace(fake_panel(OneEyed()), generator=NamedGenerator(), classifiers=[OneFeeling()])
    made = make_change_set(design(contexts=1), panel=models)
    made.save(tmp_path / "set")
    made = SampleSet.load(tmp_path / "set")
    assert made.manifest[CHANGES_KEY]["latents"] == list(NAMES)
    counts = made.pairs["sample_type"].value_counts()
    assert counts["semantic"] == 12 * 16
    assert counts["genuine"] == counts["negative"] == 12
    stimuli = list_stimuli(made, "0" * 20)
    assert sum(stimulus.is_sentinel for stimulus in stimuli) == 12
    machine = measure_pair_distances(made.pairs, "fake", 0.2)
    assert max(machine, key=lambda name: machine[name].value) == SEEN
    assert machine[SEEN].n == 12

    random, minded = np.random.default_rng(3), "part_2"
    rows = []
    for person in range(12):
        for number, pair in enumerate(made.pairs.to_dict("records")):
            moved = str(pair["direction"]).startswith(minded)
            same = random.random() < (0.3 if moved else 0.95)
            for task, value in (("similarity", f"{40 if moved else 95:g}"), ("identity", str(int(same)))):
                rows.append(
                    {
                        **{"rating_id": f"{person}-{number}-{task}", "study": "s", "rater": f"r{person}", "session": "1"},
                        **{"trial": number, "stimulus": pair["pair_id"], "task": task, "value": value, "reaction_time_ms": 900.0},
                        **{"is_sentinel": pair["sample_type"] == "genuine", "source": "human", "presented": "{}"},
                        "created_at": pd.Timestamp(0, tz="UTC"),
                    }
                )
    people = measure_people(made.pairs, make_ratings_table(rows))
    assert people.basis.raters == 12
    assert people.basis.source == "people"
    ranked = sorted(people.effects.values(), key=lambda effect: -effect.different.value)
    assert ranked[0].name == minded
    assert ranked[0].different.low > 0.5
    assert ranked[0].unlike.value == pytest.approx(0.6)
    assert ranked[1].different.high < 0.2
    assert measure_people(made.pairs, make_ratings_table([])).note == "Nobody has answered about such pairs yet."


def test_a_strip_moves_one_latent_from_end_to_end():
    (strip,) = make_strips(design(), [SEEN], steps=3, panel=panel())
    assert [frame.value for frame in strip.frames] == pytest.approx([-1.645, 0, 1.645], abs=1e-3)
    assert strip.unmoved.distances["fake"] == 0
    assert strip.frames[0].distances["fake"] + strip.frames[2].distances["fake"] > 0.2


def test_bad_designs_get_a_sentence():
    with pytest.raises(LiminalError, match="no names"):
        choose_latents("dcgan-sharp")
    with pytest.raises(LiminalError, match="did you mean glasses"):
        choose_latents("head", ["glases"])
    with pytest.raises(LiminalError, match="'people' must be from 10"):
        design(people=9)
    outside = design(generator="head", recognisers=("somebody-elses",))
    with pytest.raises(LiminalError, match="No surrogate predicts what somebody-elses says"):
        ChangePanel.load(outside, predicted=True)
    assert len(choose_latents("head")) == 60
    assert len(choose_latents("head", ["all"])) == 241
    words = describe_latent("head", "femininity")
    assert (words.group, words.low, words.high) == ("person", "masculine", "feminine")
    assert "predictions" in describe_cost(design(), predicted=True)
