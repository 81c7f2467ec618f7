"""Questions of a study's own: what a plan refuses, what an answer may be, and statistics that find a planted truth again."""

import io
import json
import math
import zipfile

import numpy as np
import pandas as pd
import pytest

from core.analysis.agreement import measure_agreement
from core.analysis.choices import count_choices, summarise_reaction_times
from core.analysis.consistency import measure_error_consistency
from core.analysis.disagreement import score_rating_spread
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.exclusions import ExclusionRules, apply_exclusion_rules
from core.studies.exporting.bundle import make_bundle
from core.studies.exporting.tables import csv_bytes
from core.studies.importing.bundles import import_bundle
from core.studies.importing.conversion import convert_table
from core.studies.importing.guessing import guess_mapping
from core.studies.importing.reading import read_file
from core.studies.importing.storing import store_answers
from core.studies.library import Library
from core.studies.planning import assign_stimuli, order_choices
from core.studies.preview import Preview
from core.studies.ratings import Rating, make_ratings_table
from core.studies.recruitment import StudySettings
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study, parse_labels
from core.studies.words import load_words, read_word_table, write_word_table

LABELS = ("calm", "tense", "neutral", "none of these")
SCALE = {"question": "scale", "wording": "How calm?", "scale_low": "not at all", "scale_high": "very"}


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("emotion", {"question": "labels", "labels": ("one",)}, "A list has 2 to 12 different labels, and this one has 1."),
        ("emotion", {"question": "labels", "labels": ("a", "A")}, "and this one has 1."),
        ("emotion", {"question": "labels", "labels": tuple("abcdefghijklm")}, "and this one has 13."),
        ("emotion", {"question": "labels", "labels": ("a", "x" * 61)}, "A label has 1 to 60 printable characters"),
        ("emotion", {"question": "labels", "labels": EMOTIONS}, "These labels are the six emotions; ask 'emotion' instead"),
        ("emotion", {"labels": LABELS}, "Labels belong to the question 'labels'"),
        ("emotion", {"question": "identity"}, "About single faces one can ask emotion, labels or scale, not 'identity'."),
        ("identity", {"question": "emotion"}, "About pairs one can ask identity, labels or scale, not 'emotion'."),
        ("emotion", {**SCALE, "scale_high": ""}, "A rating scale needs a question and a name for each of its ends"),
        ("emotion", {**SCALE, "scale_points": 11}, "A rating scale has 2 to 10 points"),
        ("emotion", {"mask_ms": 100, "image_ms": 0}, "A mask follows an image that goes away"),
        ("identity", {"mask_ms": 100, "image_ms": 200}, "A mask hides a single face"),
        ("emotion", {"deadline_ms": 100}, "a deadline lies from 200 ms to 60 s"),
        ("emotion", {"button_order": "sorted"}, "Buttons are fixed, mirrored, random, not 'sorted'."),
        ("emotion", {"sentinel_share": 1.0}, "a share of checks from 0 to below 1"),
        ("emotion", {"investigator": "A\nB"}, "What raters read as investigator is one line"),
    ],
)
def test_plans_that_make_no_sense_get_one_sentence(kind, values, sentence):
    with pytest.raises(LiminalError) as error:
        RatingPlan(kind, trials=3, **values)
    assert sentence in str(error.value)


def test_a_table_of_labels_is_one_a_line():
    assert parse_labels('calm\n\n"tense"\nneutral;neutral\n') == ("calm", "tense", "neutral")
    with pytest.raises(LiminalError, match="The table of labels has no row; write one label a line"):
        parse_labels("\n ,x\n")


def test_a_plan_goes_to_json_and_back_and_old_ones_stay_as_they_were():
    plan = RatingPlan("emotion", trials=3, question="labels", labels=LABELS, button_order="random")
    assert RatingPlan.from_dict({**plan.to_dict(), "labels": list(LABELS)}) == plan
    assert (plan.tasks, plan.choices, plan.asks) == (("label",), LABELS, "labels")
    assert not {"question", "labels", "mask_ms"} & set(RatingPlan("emotion", trials=3, question="emotion").to_dict())


def test_only_the_studys_own_answers_are_taken():
    labels = RatingPlan("emotion", trials=3, question="labels", labels=LABELS)
    scale = RatingPlan("identity", trials=3, **SCALE)
    assert labels.check_answer("label", " calm ") == "calm"
    assert scale.check_answer("scale", 7) == "7"
    for plan, task, value in ((labels, "label", "angry"), (labels, "emotion", "fear"), (scale, "scale", 8), (scale, "scale", 1.5)):
        with pytest.raises(LiminalError):
            plan.check_answer(task, value)


def test_buttons_are_turned_for_half_of_the_raters_or_drawn_for_each():
    fixed = RatingPlan("emotion", trials=3)
    mirrored, drawn = (RatingPlan("emotion", trials=3, button_order=order) for order in ("mirrored", "random"))
    raters = [f"rater-{number:04d}" for number in range(1, 61)]
    assert {order_choices(fixed, rater) for rater in raters} == {EMOTIONS}
    turned = [order_choices(mirrored, rater) == EMOTIONS[::-1] for rater in raters]
    assert sum(turned) == 30
    assert len({order_choices(drawn, rater) for rater in raters}) > 40
    assert order_choices(drawn, "rater-0007") == order_choices(drawn, "rater-0007")
    scale = RatingPlan("emotion", trials=3, button_order="random", **SCALE)
    assert {order_choices(scale, rater) for rater in raters} == {scale.choices, scale.choices[::-1]}


def table(task, answers):
    """Answers of several raters by image: {rater: [value, ...]}."""
    return make_ratings_table(
        [
            Rating("s", rater, f"i{place}", task, value, trial=place, reaction_time_ms=500.0 + place).to_row()
            for rater, values in answers.items()
            for place, value in enumerate(values)
        ]
    )


def test_labels_have_entropy_agreement_consistency_and_times():
    random = np.random.default_rng(0)
    truth = [LABELS[place % 4] for place in range(40)]
    noisy = {
        f"r{rater}": [label if random.random() < 0.8 else LABELS[random.integers(4)] for label in truth] for rater in range(12)
    }
    ratings = table("label", noisy)
    votes = count_choices(ratings, task="label", labels=LABELS)
    assert votes.table["chosen"].tolist() == truth
    assert votes.shares().shape == (40, 4)
    assert 0.5 < votes.bits.value < 1.4
    even = count_choices(table("label", {label: [label] for label in LABELS}), task="label", labels=LABELS)
    assert even.table["entropy"].iloc[0] == pytest.approx(2.0)  # four answers alike: log2 4
    agreement = measure_agreement(ratings, "label", resamples=50)
    assert agreement.alpha.value == pytest.approx(0.8**2, abs=0.12)  # two agree where both follow the truth
    assert agreement.leave_one_out.value == pytest.approx(0.85, abs=0.05)
    assert measure_error_consistency(ratings, "label", resamples=50).ceiling.value == pytest.approx(0.64, abs=0.12)
    assert summarise_reaction_times(ratings, "label").median.value == pytest.approx(519.5)


def test_ratings_have_agreement_and_spread_and_one_point_on_everything_is_told():
    random = np.random.default_rng(1)
    truth = random.integers(1, 8, 30)
    people = {f"r{rater}": [str(np.clip(value + random.integers(-1, 2), 1, 7)) for value in truth] for rater in range(10)}
    ratings = table("scale", people | {"still": ["4"] * 30})
    alpha = measure_agreement(ratings, "scale", excluded=["still"], resamples=50).alpha.value
    assert alpha > 0.75
    shown = pd.DataFrame({"stimulus": [f"i{place}" for place in range(30)], "sample_id": [f"i{place}" for place in range(30)]})
    spread = score_rating_spread(shown, ratings, excluded=["still"]).table
    assert spread["score"].mean() == pytest.approx(math.sqrt(2 / 3), abs=0.2)
    assert spread["rated"].to_numpy() == pytest.approx(truth, abs=1.2)
    points = [str(point) for point in range(1, 8)]
    assert count_choices(ratings, task="scale", labels=points).table["votes"].eq(11).all()
    excluded = apply_exclusion_rules(ratings, [], ExclusionRules()).reasons
    assert excluded == {"still": ("The rating was 4 in all 30 trials.",)}


def test_own_answers_and_words_in_any_script_are_kept_and_a_preview_is_not(store, tmp_path):
    labels = ("平静", "tense 😀", "none of these")
    words = read_word_table(write_word_table(load_words("zh").texts))
    settings = StudySettings(
        language="own",
        words=words,
        questions="几个？\n* 两个\n- 一个",
        practice=2,
        min_width=900,
        input_device="keyboard",
        phones=False,
    )
    plans = {"标签": {"question": "labels", "labels": labels}, "scale": SCALE}
    stimuli = [Stimulus(f"s{number}", (f"i{number}",)) for number in range(3)]
    other = Store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    library = Library(tmp_path / "sets", tmp_path / "none")
    for name, question in plans.items():
        plan = RatingPlan("emotion", trials=3, button_order="random", deadline_ms=900, **question)
        study = store.create(Study(name, plan, settings=settings), stimuli)
        assert (study.plan, study.settings) == (plan, settings)
        preview = Preview(study, stimuli)
        walker = preview.enrol(name, assign_stimuli)
        preview.keep([{"stimulus": each, "task": plan.main_task, "value": plan.choices[0]} for each in walker.trials])
        preview.finish(walker.code)
        assert (len(store.ratings(name)), store.raters(name), store.participation(name).started) == (0, [], 0)
        person = store.enrol(name, assign_stimuli)
        store.update(person.code, tries=1, understood_at=person.created_at)
        given = dict(zip(person.trials, plan.choices, strict=False))
        store.save([Rating(name, person.rater, each, plan.main_task, value) for each, value in given.items()])
        assert store.finish(person.code).tries == 1
        ratings = store.ratings(name)
        assert dict(zip(ratings["stimulus"], ratings["value"], strict=True)) == given
        bundle = make_bundle(store, library, name)
        assert import_bundle(other, library, bundle).plan == plan
        described = json.loads(zipfile.ZipFile(io.BytesIO(bundle)).read("dataset_description.json"))["description"]
        assert ("One of: 平静, tense" if name == "标签" else "How calm? From 1 (not at all) to 7 (very)") in described
        pd.testing.assert_frame_equal(other.ratings(name), ratings)

        table = read_file(csv_bytes(ratings), "answers.csv")
        mapping = guess_mapping(table.frame).mapping
        again = store_answers(store, library, convert_table(table, mapping, f"{name} again"))
        assert (again.new, again.study.plan.asks, again.study.origin) == (3, plan.asks, "imported")
        assert set(given.values()) <= set(again.study.plan.choices)
        strange = ratings.assign(value=ratings["value"].replace(plan.choices[0], {"label": "angry", "scale": "9"}[plan.main_task]))
        table = read_file(csv_bytes(strange), "answers.csv")
        converted = convert_table(table, mapping, name, kind="emotion", stimuli=list(given))
        with pytest.raises(LiminalError, match="is none of this study's answers"):
            store_answers(store, library, converted)
    other.dispose()


def test_limits_of_the_plan_are_those_of_the_rules():
    rules = ExclusionRules.of_plan(RatingPlan("emotion", trials=3, sentinel_share=0.5, fastest_ms=200))
    assert (rules.sentinel_share, rules.fastest_ms, rules.sentinels) == (0.5, 200, True)
