"""One row an answer: every answer once, every column described, nothing made up where something is not known."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.analysis.answer_table import build_answer_table, describe_columns, make_table_files
from core.models.emotions import EMOTIONS
from core.studies.exclusions import apply_exclusion_rules
from core.studies.ratings import UNKNOWN_TIME
from core.studies.study import Rater
from tests.figures.study_materials import emotion_material, identity_material, nobody


@pytest.fixture(scope="module")
def identity():
    return identity_material(raters=4, lost=0.1)


@pytest.fixture(scope="module")
def emotion():
    return emotion_material(images=24, raters=5)


def test_every_answer_is_a_row_with_what_the_models_say_of_its_pair(identity):
    table = build_answer_table(identity)
    assert table["rating_id"].tolist() == identity.ratings["rating_id"].tolist()
    pairs = identity.pairs.set_index("pair_id")
    for name in ("distance_dlib", "distance_sface", "lpips", "latent_distance", "step"):
        np.testing.assert_array_equal(table[name], pairs[name].reindex(table["stimulus"]), err_msg=name)
    alike, same = table[table["task"] == "similarity"], table[table["task"] == "identity"]
    assert alike["similarity"].tolist() == alike["value"].astype(float).tolist()
    assert alike["same_person"].isna().all()
    assert same["same_person"].tolist() == same["value"].astype(int).tolist()
    assert same["similarity"].isna().all()
    no_face = table["distance_dlib"].isna()
    assert no_face.any()
    assert table["accepted_dlib"].isna().equals(no_face)


def test_the_classifiers_and_the_choice_between_two_emotions(emotion):
    table = build_answer_table(emotion)
    p = table[[f"p_mini_xception_{name}" for name in EMOTIONS]].to_numpy(float)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    samples = emotion.samples.set_index("sample_id").reindex(table["stimulus"])
    np.testing.assert_array_equal(table["p_emotion_mlp_fear"], samples["p_fear"])
    first, second = table["emotion"] == table["emotion1"], table["emotion"] == table["emotion2"]
    assert table.loc[first, "chose_emotion1"].eq(1).all()
    assert table.loc[second, "chose_emotion1"].eq(0).all()
    assert table.loc[~first & ~second, "chose_emotion1"].isna().all()
    assert (~first & ~second).any()


def test_answers_to_stimuli_that_were_chosen_say_so(emotion):
    assert "adaptive" not in build_answer_table(emotion)
    study = replace(emotion.study, plan=replace(emotion.study.plan, adaptive=True))
    table = build_answer_table(replace(emotion, study=study))
    assert (table["adaptive"] == 1 - table["is_sentinel"]).all()


def test_exclusion_flags_say_every_rule_and_excluded_only_those_that_are_on(identity):
    ratings = identity.ratings.copy()
    ratings.loc[ratings["rater"] == "r0", "reaction_time_ms"] = 120.0
    ratings.loc[(ratings["rater"] == "r1") & (ratings["task"] == "similarity"), "value"] = "50"
    both = apply_exclusion_rules(ratings, identity.stimuli)
    one = apply_exclusion_rules(ratings, identity.stimuli, replace(both.rules, too_fast=False))
    for exclusions, left_out in ((both, {"r0", "r1"}), (one, {"r1"})):
        table = build_answer_table(replace(identity, ratings=ratings, exclusions=exclusions))
        assert set(table.loc[table["excluded"] == 1, "rater"]) == left_out
        assert set(table.loc[table["excluded_too_fast"] == 1, "rater"]) == {"r0"}
        assert set(table.loc[table["excluded_constant_similarity"] == 1, "rater"]) == {"r1"}
        assert table["exclusion_reasons"].notna().tolist() == (table["excluded"] == 1).tolist()


def test_what_is_not_known_is_empty(identity):
    shown = (
        '{"input_device": "touch", "refresh_rate": 59.94, "viewport": [390, 844], "dropped_frames": 1}',
        '{"refresh_rate": "fast", "viewport": 3, "input_device": 7, "dropped_frames": true}',
    )
    ratings = identity.ratings.copy()
    ratings.loc[ratings.index[:2], "presented"] = list(shown)
    ratings["created_at"] = pd.Timestamp(UNKNOWN_TIME)
    ratings.loc[ratings.index[0], "stimulus"] = "gone"
    table = build_answer_table(replace(identity, ratings=ratings))
    assert table["answered_at"].isna().all()
    assert table.loc[0, ["input_device", "refresh_rate", "viewport_width", "dropped_frames"]].tolist() == ["touch", 59.94, 390, 1]
    assert table.loc[1, ["input_device", "refresh_rate", "viewport_width", "dropped_frames"]].isna().all()
    assert table.loc[0, ["sample_type", "distance_dlib", "lpips", "check_right"]].isna().all()
    assert table.loc[1:, "sample_type"].notna().all()


def test_nothing_about_people_leaves_unless_it_is_asked_for(identity):
    raters = tuple(Rater(name, "made-up", f"code-{name}", (), demographics={"age": 30}) for name in ("r0", "r1"))
    study_data = replace(identity, raters=raters)
    usual = build_answer_table(study_data)
    assert not {"participant", "about_age"} & set(usual)
    asked = build_answer_table(study_data, participants={"r0": "5f3a"}, demographics=True)
    r0 = asked["rater"] == "r0"
    assert set(asked.loc[r0, "participant"]) == {"5f3a"}
    assert asked.loc[~r0, "participant"].isna().all()
    assert set(asked.loc[r0, "about_age"]) == {"30"}
    assert "code-r0" not in asked.to_csv()


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_files_come_back_and_every_column_is_described(kind, form, request):
    study_data = request.getfixturevalue(kind)
    files = make_table_files(study_data, "answers", form)
    assert list(files) == [f"answers.{form}", "answers_dictionary.csv", "answers.R"]
    read = pd.read_csv if form == "csv" else pd.read_parquet
    table, made = read(io.BytesIO(files[f"answers.{form}"])), build_answer_table(study_data)
    assert list(table) == list(made)
    for name in made.select_dtypes("number"):
        np.testing.assert_allclose(table[name].astype(float), made[name].astype(float), rtol=1e-9, err_msg=name)
    dictionary = pd.read_csv(io.BytesIO(files["answers_dictionary.csv"]))
    assert dictionary["column"].tolist() == list(made)
    assert dictionary["meaning"].notna().all()
    assert not dictionary["meaning"].str.contains("said about themselves").any()


def test_simulated_answers_are_marked_in_every_row_and_in_the_script():
    study_data = identity_material(raters=3, source="simulated")
    assert build_answer_table(study_data)["simulated"].eq(1).all()
    assert b"SIMULATED" in make_table_files(study_data, "answers", "csv")["answers.R"]


def test_a_study_without_answers_gives_a_table_without_rows(identity):
    empty = replace(identity, ratings=nobody())
    table = build_answer_table(empty)
    assert len(table) == 0
    assert "distance_dlib" in table
    assert len(describe_columns(table, empty)) == table.shape[1]


def test_no_cell_is_computed_by_a_spreadsheet(identity):
    ratings = identity.ratings.assign(rater="=1+1")
    content = make_table_files(replace(identity, ratings=ratings), "answers", "csv")["answers.csv"].decode("utf-8-sig")
    assert "'=1+1" in content
    assert ",=1+1" not in content
