"""Taking part in a real browser: the order and the record of a timed block, what a lost connection leaves, a block by touch."""

import contextlib
import json
import uuid
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from core.alignment.psi import PsiChooser
from core.models.emotions import EMOTIONS
from core.studies import planning
from core.studies.adaptive import make_adaptive_assignment
from core.studies.planning import assign_stimuli
from core.studies.ratings import make_ratings_table
from tests.ui.study_sets import faces, identity_set, made_study, morph_row

pytestmark = pytest.mark.browser
CHOOSING = ".trial-choices[data-shown=true]"
MESSAGE = ".trial-screen"
HIDE = """() => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = """() => {
  delete document.visibilityState;
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def begin(asking, open_page):
    """Somebody who agreed and read how it goes, before the first face -> (page, rater, study)."""
    address, store, library = asking

    def begun(sample_set, *, link="", plan=None, **options):
        values = {"demographics": False, "fixation_ms": 100, "image_ms": 100} | (plan or {})
        study = made_study(store, library, uuid.uuid4().hex, sample_set, **values)
        person = store.enrol(study.name, assign_stimuli)
        store.update(person.code, consented_at=datetime.now(UTC))
        page = open_page(f"{address}/take-part?study={study.token}&code={person.code}", **options)
        page.get_by_role("button", name="I am ready").click()
        page.locator(f"{MESSAGE} button").wait_for()
        return page, person, study

    return begun


def presses(page, keys):
    """Answer so many faces by keyboard."""
    for key in keys:
        page.locator(CHOOSING).wait_for()
        with next_face(page):
            page.keyboard.press(key)


@contextlib.contextmanager
def next_face(page):
    """Wait until what is done in the block has counted as an answer: the next face may be over before anybody looks."""
    before = page.locator(".trial-count").inner_text()
    yield
    counted = "before => document.querySelector('.trial-count')?.textContent !== before"
    page.wait_for_function(counted, arg=before)


def kept(asking, study):
    return asking[1].ratings(study.name)


def test_a_timed_block_by_keyboard(asking, begin):
    page, person, study = begin(faces(7))
    expect(page.locator(MESSAGE)).to_contain_text("Ready: 7 faces")
    page.keyboard.press("Space")
    presses(page, "1234561")
    expect(page.get_by_text("One last question")).to_be_visible()

    rows = kept(asking, study)
    assert list(rows["stimulus"]) == list(person.trials)  # rows come by their place in the plan
    assert list(rows["value"]) == [EMOTIONS[place] for place in (0, 1, 2, 3, 4, 5, 0)]
    records = [json.loads(each) for each in rows["presented"]]
    assert [each["trial_index"] for each in records] == list(range(7))  # and they were shown in that order
    assert [each["stimulus"] for each in records] == list(person.trials)
    elapsed = [each["time_elapsed"] for each in records]
    assert elapsed == sorted(elapsed)
    assert rows["is_sentinel"].sum() == 1
    for record, row in zip(records, rows.itertuples(), strict=True):
        assert record["rt"] == record["rt_from_image_onset"] == row.reaction_time_ms > 0
        assert record["response"] == row.value
        assert record["fixation_duration_asked"] == record["image_duration_asked"] == 100
        assert record["fixation_frames"] > 0
        assert record["image_frames"] > 0
        assert record["image_duration"] > 50
        assert record["fixation_duration"] > 50
        assert record["dropped_frames"] >= 0
        assert record["refresh_rate"] > 5
        assert record["input_device"] == "keyboard"
        assert record["times_shown_before"] == 0
        # every frame is either counted or known to be lost, up to one at each of the two changes
        frame = 1000 / record["refresh_rate"]
        shown = record["fixation_frames"] + record["image_frames"] + record["dropped_frames"]
        assert shown == pytest.approx((record["fixation_duration"] + record["image_duration"]) / frame, abs=2.5)


def test_an_adaptive_trial_asks_on_by_the_answers_and_goes_on_where_it_stopped(asking, open_page):
    address, store, library = asking
    study = made_study(
        store, library, uuid.uuid4().hex, morph_row(21), adaptive=True, trials=4, demographics=False, fixation_ms=60, image_ms=60
    )
    chooser = PsiChooser(study.plan.stop_width)
    person = store.enrol(study.name, make_adaptive_assignment(chooser, make_ratings_table([])))
    store.update(person.code, consented_at=datetime.now(UTC))
    step = {stimulus.stimulus: stimulus.details["step"] for stimulus in store.stimuli(study.name)}
    assert len(person.trials) == 1
    page = open_page(f"{address}/take-part?study={study.token}&code={person.code}")
    page.get_by_role("button", name="I am ready").click()
    page.locator(f"{MESSAGE} button").click()
    presses(page, "21")  # fear, the second feeling: the next face has less of it
    page.locator(CHOOSING).wait_for()
    seen = store.rater(person.code).trials
    assert len(seen) == 3
    assert step[seen[1]] < step[seen[0]]
    assert step[seen[2]] > step[seen[1]]
    page.reload()
    expect(page.locator(MESSAGE)).to_contain_text("Go on where you left off")
    page.locator(f"{MESSAGE} button").click()
    presses(page, "22")
    expect(page.get_by_text("One last question")).to_be_visible()
    rows = store.ratings(study.name)
    trials = store.rater(person.code).trials
    assert trials[:3] == seen
    assert list(rows["stimulus"]) == list(trials)
    assert list(rows["value"]) == ["fear", "surprise", "fear", "fear"]


def test_a_hidden_tab_shows_nothing_and_an_interrupted_face_comes_again(asking, begin):
    page, _, study = begin(faces(4))
    page.evaluate(HIDE)
    page.keyboard.press("Space")
    expect(page.locator(MESSAGE)).to_contain_text("in the background")
    assert not page.locator(CHOOSING).count()
    page.evaluate(SHOW)
    expect(page.locator(MESSAGE)).to_contain_text("Ready")
    page.keyboard.press("Space")
    presses(page, "1")
    page.locator(CHOOSING).wait_for()
    page.evaluate(HIDE)
    page.evaluate(SHOW)
    expect(page.locator(MESSAGE)).to_contain_text("comes again at the end")
    page.keyboard.press("Space")
    presses(page, "222")
    expect(page.get_by_text("One last question")).to_be_visible()
    records = [json.loads(each) for each in kept(asking, study)["presented"]]
    assert [each["times_shown_before"] for each in records] == [0, 1, 0, 0]
    assert [each["trial_index"] for each in records] == [0, 3, 1, 2]


def test_a_reload_in_the_middle_and_the_bare_link_go_on_where_it_stopped(asking, begin, settle):
    page, person, study = begin(faces(5))
    page.keyboard.press("Space")
    presses(page, "11")
    page.locator(CHOOSING).wait_for()  # the third face was seen, and is not answered
    page.reload()
    expect(page.locator(MESSAGE)).to_contain_text("Go on where you left off: 3 faces left")
    page.keyboard.press("Space")
    presses(page, "3")

    page.goto(f"{asking[0]}/take-part?study={study.token}")
    page.get_by_role("button", name="Go on where you left off").click()
    expect(page.locator(MESSAGE)).to_contain_text("2 faces left")
    assert f"code={person.code}" in page.url
    page.locator(f"{MESSAGE} button").click()
    for place in (4, 5):
        page.locator(CHOOSING).wait_for()
        with next_face(page):
            page.locator(".trial-choice").nth(place).click()
    expect(page.get_by_text("One last question")).to_be_visible()
    rows = kept(asking, study)
    assert len(rows) == 5
    assert set(rows["stimulus"]) == set(person.trials)
    assert rows["session"].nunique() == 3  # three visits
    assert (rows["session"] != "").all()
    seen = {row.stimulus: json.loads(row.presented) for row in rows.itertuples()}
    assert seen[person.trials[2]]["times_shown_before"] == 1
    assert seen[person.trials[2]]["input_device"] == "mouse"  # what was begun before came last


def test_a_lost_connection_loses_and_doubles_nothing(asking, begin):
    page, person, study = begin(faces(6))
    failing = {"on": True}
    lost = []

    def interfere(route):
        """The first answers arrive, but their acknowledgements do not; the next ones go nowhere."""
        if not failing["on"]:
            route.continue_()
        elif len(lost) < 2:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.abort()

    page.route("**/studies/answers", interfere)
    page.keyboard.press("Space")
    presses(page, "1122")
    expect(page.locator(".trial-status")).to_contain_text("4 answers wait for the connection")
    assert lost == [200, 200]
    page.reload()  # what waits outlives the page
    expect(page.locator(MESSAGE)).to_contain_text("2 faces left")
    expect(page.locator(".trial-status")).to_contain_text("wait")
    failing["on"] = False
    page.keyboard.press("Space")
    presses(page, "33")
    expect(page.get_by_text("One last question")).to_be_visible()
    rows = kept(asking, study)
    assert list(rows["stimulus"]) == list(person.trials)
    assert not rows["rating_id"].duplicated().any()
    assert list(rows["value"]) == [EMOTIONS[place] for place in (0, 0, 1, 1, 2, 2)]


def test_a_study_that_is_closed_meanwhile_says_so_and_keeps_the_answer(asking, begin):
    page, _, study = begin(faces(5))
    page.keyboard.press("Space")
    presses(page, "1")
    expect(page.locator(".trial-status")).to_contain_text("All answers saved")
    asking[1].change(study.name, closed=True)
    presses(page, "2")
    expect(page.locator(".trial-status")).to_contain_text("closed")
    assert len(kept(asking, study)) == 1
    waiting = page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('liminal.answer.')).length")
    assert waiting >= 1


def test_a_study_that_is_deleted_meanwhile_stops_at_once_without_its_name(asking, begin):
    page, _, study = begin(identity_set(3))
    page.keyboard.press("Space")
    expect(page.locator(".trial-similarity[data-set=false]")).to_be_visible()
    for key in ("y", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".trial-similarity[data-set=false]")).to_be_visible()  # there is no value yet that an arrow could move
    for key in ("7", "ArrowRight", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator(".trial-ends output")).to_have_text("74")
    expect(page.locator(".trial-next")).to_be_enabled()
    asking[1].delete(study.name)
    page.keyboard.press("Enter")
    expect(page.locator(MESSAGE)).to_contain_text("No more answers are taken")
    expect(page.locator(".trial-next")).not_to_be_visible()
    for key in ("n", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".trial-count")).to_contain_text("1 of 4")
    assert study.name not in page.content()


def test_pairs_by_touch_on_a_narrow_screen(asking, begin):
    page, person, study = begin(identity_set(3), width=390, height=844, has_touch=True, is_mobile=True)
    page.locator(f"{MESSAGE} button").tap()
    slider, same, following = (
        page.get_by_label("How alike are the two faces?"),
        page.locator(".trial-same button"),
        page.locator(".trial-next"),
    )
    for place in range(4):
        expect(page.locator(".trial-count")).to_contain_text(f"{place} of 4")
        expect(page.locator(".trial-similarity[data-set=false]")).to_be_visible()
        expect(following).to_be_disabled()
        same.nth(place % 2).tap()
        expect(following).to_be_disabled()  # a slider that was not moved is no answer
        slider.tap()  # the very middle, where it stands already
        expect(following).to_be_enabled()
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
        following.tap()
    expect(page.get_by_text("One last question")).to_be_visible()
    rows = kept(asking, study)
    assert len(rows) == 8
    assert not rows["rating_id"].duplicated().any()
    verdicts = rows[rows["task"] == "identity"]
    assert list(verdicts["value"]) == ["1", "0", "1", "0"]
    assert list(verdicts["stimulus"]) == list(person.trials)
    alike = rows[rows["task"] == "similarity"]
    assert all(40 <= float(value) <= 60 for value in alike["value"])
    for row in rows.itertuples():
        record = json.loads(row.presented)
        assert record["input_device"] == "touch"
        assert record["rt_from_pair_onset"] == row.reaction_time_ms > 0
        assert "digits" in record["keyboard"]  # else it would read as an answer of the time when keys began at 50
        assert record["time_to_next"] >= record["rt"]


def test_a_rater_sees_nothing_but_the_study(asking, begin):
    page = begin(faces(4))[0]
    assert not page.locator(".st-key-masthead").count()
    assert [each.inner_text() for each in page.get_by_role("link").all()] == ["Skip to main content"]
    assert str(asking[2].folder.parent) not in page.content()


def test_the_owners_preview_of_labels_with_a_mask_and_a_deadline_keeps_nothing(asking, open_page):
    address, store, library = asking
    labels = {"question": "labels", "labels": ("tense", "fear", "neutral"), "mask_ms": 60, "deadline_ms": 2500}
    study = made_study(store, library, uuid.uuid4().hex, faces(3), demographics=False, fixation_ms=60, image_ms=60, **labels)
    page = open_page(f"{address}/take-part?study={study.token}&preview=1")
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="I am ready").click()
    page.locator(f"{MESSAGE} button").click()
    expect(page.locator(MESSAGE)).to_contain_text("Too slow")  # nobody answered the first one
    page.keyboard.press("Space")
    presses(page, "123")
    expect(page.get_by_text("One last question")).to_be_visible()
    assert not store.raters(study.name)
    assert not page.evaluate("Object.keys(localStorage).some((name) => /liminal.(answer|rater)/.test(name))")


def test_a_scale_about_pairs_is_answered_by_its_points(asking, begin):
    scale = {"question": "scale", "wording": "How old?", "scale_low": "young", "scale_high": "old", "scale_points": 10}
    page, person, study = begin(identity_set(2), plan={**scale, "image_ms": 0, "button_order": "mirrored"})
    page.keyboard.press("Space")
    presses(page, "70")
    page.locator(".trial-choice", has_text="3").click()
    expect(page.get_by_text("One last question")).to_be_visible()
    rows = kept(asking, study)
    assert list(rows["value"]) == ["7", "10", "3"]
    assert list(rows["task"]) == ["scale"] * 3
    record = json.loads(rows["presented"].iloc[0])
    assert record["button_order"] == list(planning.order_choices(study.plan, person.rater))
    assert record["trial_type"] == "timed-pair-choice"
