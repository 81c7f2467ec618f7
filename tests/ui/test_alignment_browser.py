"""Learning from people as a person does it, in a real browser: Align, You and the slider of Making, with made-up networks."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from core.models.emotions import EMOTIONS
from core.sampling.stored.gallery import load_gallery
from core.studies.chain_store import ChainStore
from core.studies.chains import ChainDesign, ChainStudy, SliderLatent
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


def test_a_slider_shows_its_pictures_as_it_is_dragged_and_the_choice_is_kept(planted, open_page, settle):
    base = load_gallery("head").bases[0].base_id
    latents = (SliderLatent("smile", -0.3, 1.3), SliderLatent("brow_raise", -0.4, 1.2))
    store = ChainStore()
    study = store.create(ChainStudy("Afraid", ChainDesign(latents, (base,), target="fear", chains=1, sweeps=1, steps_each=2)))
    person = store.enrol(study.name)
    page = open_page(f"{planted}/take-part?making={study.token}&code={person.code}")
    slider, press = page.get_by_label("Change the face"), page.locator(".face-slider-next")
    root, face = page.locator(".face_slider-root"), page.locator(".face-slider-screen img")
    expect(face).to_be_visible()
    expect(press).to_be_disabled()  # nothing was chosen yet
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    seen = set()
    for share in (0.3, 0.5, 0.7, 0.9):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        seen.add((root.get_attribute("data-frame"), face.get_attribute("src")))
    page.mouse.up()
    assert len(seen) == 4  # another picture at each place
    page.keyboard.press("ArrowLeft")
    chosen = int(root.get_attribute("data-frame"))
    press.click()
    page.wait_for_function("step => document.querySelector('.face_slider-root').dataset.step !== step", arg="0/0")
    (step,) = store.steps(study.name).to_dict("records")
    assert step["value"] == pytest.approx(study.design.latent_of(0, 0).values[chosen])
    assert step["reaction_time_ms"] > 0
    page.reload()
    settle(page)
    expect(page.get_by_text("2 of 2")).to_be_visible()  # the choice is not asked for again
    slider.press("End")
    press.click()
    expect(page.get_by_text("Your choices (2) are kept")).to_be_visible()
