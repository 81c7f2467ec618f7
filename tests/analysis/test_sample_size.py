"""How many people: widths as the bootstrap of a simulated study finds them, power as planted differences are found."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from core.__main__ import main
from core.analysis import sample_size
from core.analysis.bootstrap import VoteSums, draw_weights, pooled_means
from core.analysis.encode import encode, select_answers
from core.analysis.preregistration import make_preregistration
from core.analysis.sample_size import plan_sample_size
from core.errors import LiminalError
from core.figures.sample_size import describe_power, list_measures, plot_power, plot_widths
from core.studies.exclusions import ExclusionRules
from core.studies.library import Library
from core.studies.planning import PreparedStudy, list_stimuli, make_identity_plan
from core.studies.simulation import IdentityPopulation, simulate_study
from core.studies.store import Store
from tests.emotion_sets import emotion_set, unanimous


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """The first batch of pairs of the demonstration, whose faces people neither all know apart nor all mix up."""
    library = Library(tmp_path_factory.mktemp("sets"))
    whole = library.load(next(entry.set_id for entry in library.sets() if entry.kind == "identity"))
    return {"set": replace(whole, pairs=whole.pairs[whole.pairs["batch"] == whole.pairs["batch"].min()].reset_index(drop=True))}


@pytest.fixture(scope="module")
def size(pairs):
    return plan_sample_size(pairs, raters=(12, 24, 48), images=(54, 108), repeats=200)


def test_the_width_is_that_of_the_crossed_bootstrap_of_a_simulated_study(pairs, size):
    stimuli = tuple(stimulus for stimulus in list_stimuli(pairs["set"], "set") if not stimulus.is_sentinel)
    prepared = PreparedStudy(make_identity_plan(stimuli), stimuli, ("set",))
    widths = []
    for seed in range(3):
        made = simulate_study("s", prepared, pairs, raters=24, seed=seed, population=IdentityPopulation(inattentive={}))
        answers = encode(select_answers(made.ratings, "identity"))
        votes, whole = VoteSums.of(answers), sparse.csr_array(np.ones((1, len(answers.images))))
        weights = draw_weights(len(answers.images), len(answers.raters), resamples=400)
        drawn = np.concatenate([pooled_means(votes, part, whole)[0] for part in weights])
        widths.append(np.ptp(np.quantile(drawn, [0.025, 0.975])))
    row = next(row for row in size.rows if (row.raters, row.images) == (24, 108))
    assert row.votes == 24
    assert row.widths["identity rate"] == pytest.approx(np.mean(widths), rel=0.25)


def test_power_is_how_often_a_planted_difference_is_found(pairs, size):
    """Half of the images get more 'same' by what the power is asked for; the test is that of two means with known deviation."""
    stimuli = [stimulus for stimulus in list_stimuli(pairs["set"], "set") if not stimulus.is_sentinel]
    pool = sample_size._ObserverPool.draw("identity", stimuli, pairs, 0)
    random = np.random.default_rng(5)
    apart = np.array([sample_size._draw_study(pool, 24, 108, 108, random)[2] for _ in range(600)])
    limit = 1.96 * apart[:300].std()
    found = np.abs(apart[300:] + size.difference) > limit
    row = next(row for row in size.rows if (row.raters, row.images) == (24, 108))
    assert row.power == pytest.approx(found.mean(), abs=0.1)
    assert np.mean(np.abs(apart[300:]) > limit) < 0.1


def test_more_people_and_more_images_give_more(size):
    for images in (54, 108):
        rows = [row for row in size.rows if row.images == images]
        for name in ("identity rate", "entropy"):
            assert sorted((row.widths[name] for row in rows), reverse=True) == [row.widths[name] for row in rows]
        assert len({row.widths["acceptance"] for row in rows}) == 1
        assert sorted(row.power for row in rows) == [row.power for row in rows]
    few, many = (next(row for row in size.rows if (row.raters, row.images) == (24, images)) for images in (54, 108))
    assert few.power < many.power
    assert few.widths["acceptance"] > many.widths["acceptance"]


def test_the_same_seed_gives_the_same_and_faces_have_their_own_measures():
    faces = {"set": emotion_set([unanimous(0.5, 0.4, True), unanimous(0.3, 0.6, True)] * 4)}
    first, again = (plan_sample_size(faces, raters=(8, 2), images=(8,), repeats=20) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    assert [row.raters for row in first.rows] == [2, 8]
    assert list(first.rows[0].widths) == ["first emotion", "entropy"]
    assert np.isnan(first.rows[0].widths["entropy"])  # two votes a face
    assert first.plan.sentinels == 10
    assert first.recruited(100) == 130
    assert json.loads(json.dumps(first.to_dict()))["simulated"] is True
    assert "- |" in make_preregistration(first)


def test_figures_are_marked_as_simulated_and_say_how_many(size):
    assert list_measures(size)[0] == "identity rate"
    for figure in (plot_power(size), *(plot_widths(size, name) for name in list_measures(size))):
        assert figure.layout.meta["source"] == "simulated"
        assert "SIMULATED" in figure.layout.title.text.upper()
    enough = size.find_enough(108)
    sentence = describe_power(size)
    assert f"{enough.raters:,} people" in sentence if enough else "Even 48 people" in sentence


def test_the_preregistration_holds_plan_rules_seed_and_analysis(size):
    text = make_preregistration(size, title="Look", raters=48, rules=ExclusionRules(too_fast=False))
    for part in (
        "# Preregistration: Look",
        "108 pairs and 4 attention checks",
        "Seed of assignment and order: 0",
        "48 raters who count",
    ):
        assert part in text
    assert "more than 70% of the attention checks" in text
    assert "median reaction time" not in text
    assert "slider" in text
    assert "mixed model" in text
    assert "SIMULATED" in text
    assert text.count("\n| ") == 1 + len(size.rows)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"raters": (1,)}, "Numbers of people lie from 2"),
        ({"images": (10**7,)}, "Numbers of images lie from 4"),
        ({"difference": 0}, "above 0 and up to 1"),
        ({"difference": 1.5}, "above 0 and up to 1"),
        ({"trials": 10**6}, "A rater cannot get"),
    ],
)
def test_numbers_that_make_no_sense_are_one_sentence(pairs, options, said):
    with pytest.raises(LiminalError, match=said):
        plan_sample_size(pairs, **options)


def test_the_command_prints_writes_and_stores_nothing(pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    pairs["set"].save(tmp_path / "set")
    asked = ["study", "size", "--set", "set", "--raters", "4", "8", "--images", "50", "--difference", "0.2"]
    assert main([*asked, "--preregistration", "p.md", "--html", "p.html"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("SIMULATED")
    assert "Wrote p.md." in printed
    assert "Preregistration" in (tmp_path / "p.md").read_text()
    assert "plotly" in (tmp_path / "p.html").read_text()
    assert not [study for study in Store().studies() if study.source == "human"]
    assert main([*asked, "--json"]) == 0
    assert [row["raters"] for row in json.loads(capsys.readouterr().out)["rows"]] == [4, 8]
    assert main(["study", "size", "--set", "none"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("Error: ")
