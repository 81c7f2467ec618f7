"""Learning from people as a person does it, in a real browser: Align and You, with networks that are made up."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from core.models.emotions import EMOTIONS
from tests.alignment.made_up import TRUTH_NEW
from tests.ui.conftest import own_folder, serving
from tests.ui.study_sets import faces
from tests.ui.taught import FACES, asked, vector

pytestmark = pytest.mark.browser
NARROW = 390


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A server with one study and made-up networks -> its address."""
    folder = tmp_path_factory.mktemp("planted")
    with own_folder(folder) as (store, library):
        asked(store, library)
        with serving(folder / "log.txt", "tests/ui/planted_app.py") as address:
            yield address
    assert "Traceback" not in (folder / "log.txt").read_text()


def test_learning_is_watched_stopped_gone_on_with_and_looked_into(planted, open_page, settle):
    page = open_page(f"{planted}/align?study=feelings")
    page.get_by_role("button", name="Learn from these people").click()
    expect(page.locator("[data-testid=stProgress]")).to_contain_text("round")
    expect(page.locator("h3.says")).to_contain_text("While it learns")  # the curve grows while one watches
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("What was learned so far is kept")).to_be_visible()
    page.get_by_role("button", name="Learn from these people").click()
    expect(page.get_by_role("heading", name="What it brought")).to_be_visible()
    expect(page.get_by_role("heading", name="What is taken for what")).to_be_visible()
    expect(page.locator("[data-testid=stProgress]")).to_have_count(0)
    settle(page)
    assert page.locator("h3.says").count() == 8  # accuracy, gains, people, doubts, both curves, and what is taken for what twice

    page.locator(".st-key-changed-faces .face").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("After learning")
    assert "item=" in page.url
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_label("Who taught it?").click()
    page.get_by_role("option").nth(1).click()
    expect(page.get_by_text(re.compile(r"The held-out answers of p\d"))).to_be_visible()

    page.set_viewport_size({"width": NARROW, "height": 844})
    pills = page.locator(".st-key-align-choices button[data-variant]")
    assert pills.count() == 7
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= NARROW for box in (pill.bounding_box() for pill in pills.all()))
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW


def learned(page):
    """The crowd's model is there: made now where the test that calls this runs alone."""
    learn = page.get_by_role("button", name="Let it learn")
    learn.or_(page.locator(".question-root")).first.wait_for()
    if learn.count():
        learn.click()


def press_as_one_who_sees_fear():
    """Face -> key of somebody who sees what the crowd sees, but fear sooner."""
    fear = 2.5 * np.eye(6)[EMOTIONS.index("fear")]
    return {name: str(1 + int((vector(name) @ TRUTH_NEW.numpy() + fear).argmax())) for name in faces(FACES).images}


def test_thirty_answers_make_a_profile_and_faces_of_ones_own(planted, open_page, settle):
    page = open_page(f"{planted}/you?study=feelings")
    learned(page)
    told, root, keys = page.locator(".question-told"), ".question-root[data-waiting=false]", press_as_one_who_sees_fear()
    page.locator(root).wait_for()
    expect(told).to_contain_text("No hurry")
    for number in range(30):
        page.locator(f"{root}[data-number='{number}']").wait_for()
        page.keyboard.press(keys[page.locator(".question-face").get_attribute("src").rsplit("/", 1)[1]])
        if number == 4:
            expect(told).to_contain_text("The guess was")
            expect(page.get_by_text("Guessed right so far:")).to_contain_text("of 5 from your answers before")
    expect(page.get_by_role("heading", name="You and the crowd")).to_be_visible()
    expect(page.locator(".fact").first).to_contain_text("of your 30 answers were guessed before you gave them")
    expect(page.locator(".fact").last).to_contain_text("slips")
    expect(page.locator(".st-key-card-you-leanings")).to_contain_text("than the crowd")
    settle(page)

    page.get_by_role("button", name="Make faces for me").click()
    expect(page.locator("[data-testid=stProgress]")).to_contain_text("others see differently")
    for number, key in enumerate("2212"):
        page.locator(f"{root}[data-number='{number}']").wait_for()
        page.keyboard.press(key)
    made = page.locator(".st-key-you-made-faces .face")
    expect(made).to_have_count(4)
    expect(made.first).to_contain_text("You would say fear, most would say surprise")
    expect(page.get_by_text("Of 4 faces you said of 3 what your model foretold, and of 1 what")).to_be_visible()


def test_a_page_drawn_again_while_a_face_is_on_its_way_still_asks(planted, open_page):
    page = open_page(f"{planted}/you?study=feelings")
    learned(page)
    page.locator(".question-root[data-waiting=false]").wait_for()
    twice = """async (root) => {
        const asked = root.question, next = {...asked.data, number: 99};
        await Promise.all([asked.show(next, asked.send), asked.show({...next}, asked.send)]);
        return [root.dataset.number, asked.began > 0];
    }"""
    assert page.locator(".question-root").evaluate(twice) == ["99", True]


def test_a_face_and_all_its_answers_are_seen_at_once_on_a_phone(planted, open_page):
    page = open_page(f"{planted}/you?study=feelings", width=NARROW, height=844)
    learned(page)
    page.locator(".question-root[data-waiting=false]").wait_for()
    for width, height in ((NARROW, 844), (360, 640)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        boxes = [each.bounding_box() for each in (*page.locator(".question-choice").all(), page.locator(".question-face"))]
        assert len(boxes) == 7
        assert min(each["y"] for each in boxes) >= 0
        assert max(each["y"] + each["height"] for each in boxes) <= height
        assert boxes[-1]["width"] >= 150


def test_the_address_of_the_next_question_leads_to_align(planted, open_page):
    page = open_page(f"{planted}/next-question?people=2&answers=10")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Networks that learn from people")
    expect(page.get_by_text("is gone")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/align\?from=next-question"))
