"""The store on SQLite and PostgreSQL: what goes in comes out, once, under the right name."""

import dataclasses
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import LiminalError
from core.studies.ratings import RATINGS, Rating, make_ratings_table
from core.studies.store import Store
from core.studies.study import Rater, RatingPlan, Stimulus, Study

NAMES = ["plain", "Ωμέγα", "顔の研究", "دراسة الوجوه", "🙂 naïve 'quoted' \"; DROP TABLE", "O'Brien %s :x", "👩‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️ می‌خواهم"]


def stimuli(count=6):
    details = {"step": 0.25, "pair": ["fear", "surprise"], "ünïcode": "✓"}
    return [Stimulus(f"s{n}", (f"base{n}", f"i{n}"), "genuine", "b", n == 2, "1" if n == 2 else "", details) for n in range(count)]


def fewest(study, stimuli, handed_out, number):
    """Three of those that were handed out least."""
    return sorted(handed_out, key=lambda stimulus: (handed_out[stimulus], stimulus))[:3]


def everything(study, stimuli, handed_out, number):
    return [each.stimulus for each in stimuli]


def make(store, name="study", **fields):
    return store.create(Study(name, RatingPlan("identity", 6), **fields), stimuli())


def answer(rater, stimulus, value="1", task="identity", **fields):
    return Rating(rater.study, rater.rater, stimulus, task, value, **fields)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_comes_back_as_it_went_in(store, name):
    moment = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    study = Study(
        name, RatingPlan("emotion", 5, 1, seed=2**62, consent="同意 ✓"), note=name, sample_sets=("a", "b"), created_at=moment
    )
    assert store.create(study, stimuli()) == study
    assert store.study(name) == study == store.study_of(study.token)
    assert store.study(name).created_at.utcoffset() == timedelta(0)
    assert store.studies() == [study]
    assert store.stimuli(name) == stimuli()
    rater = store.enrol(name, everything, rater=name + "👩‍👩‍👧")
    asked = {"ge\x00nder": name, "age": 30}
    rater = store.update(rater.code, demographics=asked, strategy="I looked\x00 at \ud800", consented_at=moment)
    store.save([answer(rater, "s1", "fear", "emotion", presented={"device": name}, created_at=moment)])
    row = store.ratings(name).iloc[0]
    assert (row["study"], row["rater"], row["created_at"]) == (name, rater.rater, pd.Timestamp(moment))
    assert Store.rater(store, rater.code) == rater
    assert rater.demographics == asked
    assert rater.strategy == "I looked\x00 at \ud800"
    assert rater.consented_at == moment
    assert rater.finished_at is None


def test_names_and_links_that_are_not_there(store):
    make(store)
    with pytest.raises(LiminalError, match="already"):
        make(store)
    with pytest.raises(LiminalError, match="twice"):
        store.create(Study("other", RatingPlan("identity", 6)), [*stimuli(), *stimuli()])
    for call in (store.study, store.stimuli, store.raters, store.ratings, store.votes, store.delete, store.change):
        with pytest.raises(LiminalError, match="There is no study 'nothing'"):
            call("nothing")
    with pytest.raises(LiminalError, match="link"):
        store.study_of("guess")
    with pytest.raises(LiminalError, match="link"):
        store.rater("guess")
    with pytest.raises(LiminalError, match="link"):
        store.update("guess", strategy="x")
    with pytest.raises(LiminalError, match="Nobody called"):
        store.forget("study", "nobody")
    assert [study.name for study in store.studies()] == ["study"]


def test_what_may_change_and_what_not(store):
    study = make(store)
    assert store.change("study", plan=RatingPlan("identity", 4), note="new") == store.study("study")
    assert store.study("study").note == "new"
    store.enrol("study", fewest)
    with pytest.raises(LiminalError, match="plan"):
        store.change("study", plan=RatingPlan("identity", 5))
    with pytest.raises(LiminalError, match="'name' cannot"):
        store.change("study", name="other")
    assert store.change("study", closed=True, sample_sets=("x",)) == dataclasses.replace(
        study, plan=RatingPlan("identity", 4), note="new", closed=True, sample_sets=("x",)
    )


def test_raters_get_numbers_and_orders_that_stay_balanced(store):
    make(store)
    seen = []

    def watch(study, stimuli, handed_out, number):
        seen.append((study.name, len(stimuli), sum(handed_out.values()), number))
        return fewest(study, stimuli, handed_out, number)

    raters = [store.enrol("study", watch) for _ in range(4)]
    assert seen == [("study", 6, 3 * number, number) for number in range(4)]
    assert raters[0].trials == ("s0", "s1", "s2")
    assert raters[1].trials == ("s3", "s4", "s5")
    assert store.raters("study") == raters
    assert len({rater.rater for rater in raters}) == len({rater.code for rater in raters}) == 4
    for wrong in (["s0", "s0"], ["s0", "nothing"]):
        with pytest.raises(LiminalError, match="order"):
            store.enrol("study", lambda *_, wrong=wrong: wrong)
    with pytest.raises(LiminalError, match="already"):
        store.enrol("study", fewest, rater=raters[0].rater)
    store.change("study", closed=True)
    with pytest.raises(LiminalError, match="closed"):
        store.enrol("study", fewest)


def test_orders_that_are_brought_back_count_as_handed_out(store):
    orders = {"a": ("s0", "s1", "s2"), "b": ("s2", "s0"), "c": ("s0",)}
    raters = [Rater(name, "study", f"code-{name}", trials) for name, trials in orders.items()]
    store.create(Study("other", RatingPlan("identity", 6)), stimuli())
    store.restore(Study("study", RatingPlan("identity", 6)), stimuli(), make_ratings_table([]), raters)
    seen = {}

    def watch(study, stimuli, handed_out, number):
        seen[study.name] = (dict(handed_out), number)
        return ["s5"]

    store.enrol("study", watch)
    store.enrol("other", watch)
    assert seen["study"] == ({"s0": 3, "s1": 1, "s2": 2, "s3": 0, "s4": 0, "s5": 0}, 3)
    assert seen["other"] == (dict.fromkeys(seen["study"][0], 0), 0)
    store.forget("study", "a")
    store.enrol("study", watch)
    assert seen["study"] == ({"s0": 2, "s1": 0, "s2": 1, "s3": 0, "s4": 0, "s5": 1}, 4)


def test_an_answer_is_kept_once_and_the_first_one_counts(store):
    make(store)
    rater = store.enrol("study", everything)
    first = answer(rater, "s1", "1")
    assert store.save([first, first]) == [first.rating_id] * 2
    assert store.save([first]) == [first.rating_id]
    again = answer(rater, "s1", "0")  # another tab, another id
    assert store.save([again]) == [again.rating_id]
    other = [answer(rater, "s3", "0"), answer(rater, "s3", "1"), answer(rater, "s1", "40", "similarity")]
    assert store.save(other) == [each.rating_id for each in other]
    table = store.ratings("study")
    assert list(table["rating_id"]) == [first.rating_id, other[2].rating_id, other[0].rating_id]
    assert list(table["value"]) == ["1", "40", "0"]
    assert dict(table.dtypes.astype(str)) == dict(RATINGS)
    assert store.answered(rater) == {("s1", "identity"), ("s1", "similarity"), ("s3", "identity")}
    assert store.votes("study") == {"s0": 0, "s1": 1, "s2": 0, "s3": 1, "s4": 0, "s5": 0}
    assert store.save([]) == []


def test_the_plan_is_believed_and_not_the_browser(store):
    make(store)
    rater = store.enrol("study", lambda *_: ["s5", "s2"])
    store.save([answer(rater, "s2", trial=40, is_sentinel=False), answer(rater, "s5", trial=9, is_sentinel=True)])
    table = store.ratings("study")
    assert list(zip(table["stimulus"], table["trial"], table["is_sentinel"], table["source"], strict=True)) == [
        ("s5", 0, False, "human"),
        ("s2", 1, True, "human"),
    ]


def test_answers_cannot_be_crossed(store):
    make(store)
    make(store, "second")
    one, two = store.enrol("study", lambda *_: ["s0", "s1"]), store.enrol("study", lambda *_: ["s0", "s2"])
    kept = answer(one, "s0")
    store.save([kept])
    refused = {
        "belongs to another answer": answer(two, "s0", rating_id=kept.rating_id),
        "under a new id": answer(one, "s1", rating_id=kept.rating_id),
        "was not asked": answer(two, "s1"),
        "Nobody called 'stranger'": dataclasses.replace(answer(one, "s1"), rater="stranger"),
        f"Nobody called '{two.rater}'": dataclasses.replace(answer(two, "s0"), study="second"),
        "There is no study 'third'": dataclasses.replace(answer(two, "s0"), study="third"),
        "name of a person": answer(two, "s0", source="simulated"),
    }
    if two.rater == "rater-0002":
        store.enrol("second", everything, rater="someone")
    for words, wrong in refused.items():
        with pytest.raises(LiminalError, match=words):
            store.save([answer(two, "s2"), wrong])
    with pytest.raises(LiminalError, match="session"):
        answer(two, "s0", session="\x00")
    assert len(store.ratings("study")) == 1, "a call is kept whole or not at all"
    store.change("study", closed=True)
    with pytest.raises(LiminalError, match="closed"):
        store.save([answer(two, "s2")])
    assert store.save([kept]) == [kept.rating_id], "what is on the disk is acknowledged, so that nobody sends it for ever"


def test_models_and_published_people_need_not_enrol(store):
    make(store)
    make(store, "published", origin="imported")
    store.save([Rating("study", "dlib", "s1", "identity", "1", trial=7, source="model")])
    store.save([Rating("published", "person 1", "elsewhere", "identity", "1", trial=3)])
    assert store.ratings("study").loc[0, ["rater", "trial", "source"]].tolist() == ["dlib", 7, "model"]
    assert store.ratings("published").loc[0, ["rater", "trial", "source"]].tolist() == ["person 1", 3, "human"]
    with pytest.raises(LiminalError, match="already"):
        store.enrol("study", fewest, rater="dlib")
    rater = store.enrol("study", fewest)
    store.save([answer(rater, "s0")])
    assert list(store.ratings("study", ["human"])["rater"]) == [rater.rater]
    assert list(store.ratings("study", ["model", "simulated"])["rater"]) == ["dlib"]
    assert len(store.ratings("study", [])) == 0


def test_forgetting_a_person_leaves_no_trace_of_who(store, store_url):
    make(store)
    gone, stays = store.enrol("study", fewest, rater="Zaphod"), store.enrol("study", fewest)
    store.update(gone.code, strategy="Zaphod looked at the hair")
    store.save([answer(gone, stimulus) for stimulus in gone.trials] + [answer(stays, stays.trials[0])])
    deletion = store.forget("study", "Zaphod", "asked by mail")
    assert (deletion.study, deletion.what, deletion.answers, deletion.reason) == ("study", "rater", 3, "asked by mail")
    assert store.deletions("study") == [deletion]
    assert "Zaphod" not in repr(deletion)
    assert store.raters("study") == [stays]
    assert list(store.ratings("study")["rater"]) == [stays.rater]
    with pytest.raises(LiminalError):
        store.rater(gone.code)
    with pytest.raises(LiminalError, match="Nobody called"):
        store.save([answer(gone, gone.trials[0])])
    next_one = store.enrol("study", fewest)
    assert next_one.rater == "rater-0003", "numbers are never given twice"
    assert next_one.trials == gone.trials, "somebody else is asked instead"
    if store_url.startswith("sqlite"):
        for file in Path(store_url.removeprefix("sqlite:///")).parent.iterdir():
            assert b"Zaphod" not in file.read_bytes(), f"{file.name} still has the name"


def test_deleting_a_study_takes_all_of_it_and_nothing_else(store):
    make(store)
    make(store, "second")
    for name in ("study", "second"):
        rater = store.enrol(name, fewest)
        store.save([answer(rater, stimulus) for stimulus in rater.trials])
    store.delete("study", "a trial run")
    assert [study.name for study in store.studies()] == ["second"]
    assert len(store.ratings("second")) == 3
    assert [(each.what, each.answers, each.reason) for each in store.deletions("study")] == [("study", 3, "a trial run")]
    make(store)
    assert len(store.ratings("study")) == 0
    assert store.raters("study") == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_resending_in_any_order_keeps_each_answer_once(store, data):
    """The contract of the browser's queue: parts of it are sent, lost, repeated and mixed, and the table is the same."""
    name = f"study {random.SystemRandom().getrandbits(64)}"
    make(store, name)
    rater = store.enrol(name, everything)
    answers = [answer(rater, f"s{n}", str(n % 2)) for n in range(6)]
    calls = data.draw(st.lists(st.lists(st.sampled_from(answers), max_size=8), max_size=6))
    for call in calls:
        assert store.save(call) == [each.rating_id for each in call]
    sent = {each.rating_id: each.value for call in calls for each in call}
    table = store.ratings(name)
    assert dict(zip(table["rating_id"], table["value"], strict=True)) == sent
    assert len(table) == len(sent)


def test_times_are_utc_whatever_the_zone(store):
    make(store)
    rater = store.enrol("study", everything)
    local = datetime(2026, 6, 1, 1, 0, tzinfo=timezone(timedelta(hours=9)))
    store.save([answer(rater, "s0", created_at=local)])
    store.update(rater.code, consented_at=local)
    assert store.ratings("study").loc[0, "created_at"] == pd.Timestamp("2026-05-31T16:00:00Z")
    assert store.rater(rater.code).consented_at == datetime(2026, 5, 31, 16, tzinfo=UTC)
