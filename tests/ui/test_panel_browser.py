"""A study and a panel, in a real browser: people come in with a name from a small stand-in panel and go out with the right code."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from core.studies.planning import assign_stimuli
from core.studies.recruitment import Participant, StudySettings, extend_link
from tests.ui.study_sets import faces, identity_set, made_study

pytestmark = pytest.mark.browser
CHOOSING = ".trial-choices[data-shown=true]"


class Panel:
    """A panel's web site: a page with the study's link for everybody who signs in, and a page for those who come back from it."""

    site = "https://panel.example"

    def __init__(self, link):
        self.link = link
        self.returns = []

    def serve(self, route):
        address = urlsplit(route.request.url)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/sign-in":
            replaced = self.link
            for name, value in {"PROLIFIC_PID": query["as"], "STUDY_ID": "study 7", "SESSION_ID": f"{query['as']}/1"}.items():
                replaced = replaced.replace(f"{{{{%{name}%}}}}", quote(value, safe=""))
            body = f'<a href="{replaced.replace("&", "&amp;")}">Take part in this study</a>'
        else:
            self.returns.append((address.path, query))
            body = f"<h1>Welcome back: {len(self.returns)}</h1>"
        route.fulfill(body=f"<!doctype html><title>A panel</title>{body}", content_type="text/html")


@pytest.fixture
def come(asking, open_page, settle):
    """Somebody who opens the study from the panel, in a browser of their own -> the study's page."""

    def comes(panel, name):
        page = open_page(f"{asking[0]}/take-part?study=none")  # any page of the server
        page.context.route(f"{panel.site}/**", panel.serve)
        page.goto(f"{panel.site}/sign-in?as={quote(name)}")
        page.get_by_role("link", name="Take part in this study").click()
        page.wait_for_url(f"{asking[0]}/take-part**")
        settle(page)
        return page

    return comes


def go_back(page, panel):
    page.locator("a.way-out").click()
    expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    return panel.returns[-1]


def test_people_come_from_a_panel_and_go_back_to_it(asking, come):
    address, store, library = asking
    study = made_study(store, library, "paid", faces(3), demographics=False, strategy_question=False, fixation_ms=50, image_ms=50)
    done = "https://panel.example/complete?cc=DONE7&who={participant}&session={SESSION_ID}"
    settings = StudySettings(
        "PROLIFIC_PID", finished=done, declined="https://panel.example/returned?cc=NO", full="https://panel.example/full?cc=FULL",
        target=2,
    )  # fmt: skip
    study = store.change("paid", settings=settings)
    panel = Panel(extend_link(f"{address}/take-part?study={study.token}", settings))

    page = come(panel, "ann & co.")  # in with a name that is none
    expect(page.get_by_role("heading", name="This link cannot be used")).to_be_visible()

    page = come(panel, "ann@1")
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="I am ready").click()
    page.locator(".trial-screen button").click()
    for place in range(3):
        page.locator(CHOOSING).wait_for()
        before = page.locator(".trial-count").inner_text()
        page.keyboard.press("1")
        if place < 2:
            page.wait_for_function("before => document.querySelector('.trial-count')?.textContent !== before", arg=before)
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert go_back(page, panel) == ("/complete", {"cc": "DONE7", "who": "ann@1", "session": "ann@1/1"})
    (ann,) = store.raters("paid")
    assert ann.finished_at is not None
    assert store.participant_of(ann) == Participant(
        "ann@1", {"PROLIFIC_PID": "ann@1", "STUDY_ID": "study 7", "SESSION_ID": "ann@1/1"}
    )
    assert len(store.ratings("paid")) == 3

    page = come(panel, "ann@1")  # a second visit, in another browser
    expect(page.get_by_role("heading", name="You have taken part already")).to_be_visible()
    assert go_back(page, panel)[1]["cc"] == "DONE7"
    assert len(store.raters("paid")) == 1

    page = come(panel, "bob")
    page.get_by_role("button", name="No, thank you").click()
    assert go_back(page, panel) == ("/returned", {"cc": "NO"})
    assert (store.participation("paid").declined, len(store.raters("paid"))) == (1, 1)

    cora = store.enrol("paid", assign_stimuli, participant=Participant("cora", {"PROLIFIC_PID": "cora"}))
    page = come(panel, "dan")  # every place is taken, and then the study is full
    expect(page.get_by_role("heading", name="Every place is taken")).to_be_visible()
    store.finish(cora.code)
    assert store.study("paid").closed
    page = come(panel, "dan")
    expect(page.get_by_role("heading", name="This study is closed")).to_be_visible()
    assert go_back(page, panel) == ("/full", {"cc": "FULL"})
    page = come(panel, "ann@1")  # who has finished is told so as before
    assert go_back(page, panel)[1]["cc"] == "DONE7"


def test_a_small_window_practice_and_questions_come_before_the_block(asking, open_page, settle):
    address, store, library = asking
    study = made_study(store, library, "screened", identity_set(2), demographics=False, strategy_question=False)
    questions = "How many questions?\n* two\n- one"
    store.change(
        "screened", settings=StudySettings(min_width=800, min_height=500, input_device="keyboard", practice=2, questions=questions)
    )
    page = open_page(f"{address}/take-part?study={study.token}", width=700, height=600)
    expect(page.get_by_text("Your window shows 700 by 600 pixels, and this study needs 800 by 500")).to_be_visible()
    expect(page.get_by_text("press the space bar to show that you have one")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_text("press the space bar")).to_be_hidden()
    page.set_viewport_size({"width": 820, "height": 600})
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="I am ready").click()

    expect(page.locator(".trial-screen")).to_contain_text("Practice: 2 pairs")
    expect(page.locator(".trial-status")).to_have_text("Practice: nothing is kept.")
    page.locator(".trial-screen button").click()
    told = []
    for _ in range(2):
        page.locator(".trial-similarity[data-set=false]").wait_for()
        page.keyboard.press("6")
        page.keyboard.press("y")
        page.keyboard.press("Enter")
        page.locator(".trial-screen h3").wait_for()
        told.append(page.locator(".trial-screen").inner_text().replace("\n", " "))
        page.keyboard.press("Space")
    assert sorted(" ".join(text.split()) for text in told) == [
        "Not quite They show two people. Go on",
        "That is right They show the same person. Go on",
    ]

    page.get_by_text("two", exact=True).click()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".trial-screen")).to_contain_text("Ready: 3 pairs")
    assert len(store.ratings("screened")) == 0
    (person,) = store.raters("screened")
    assert person.understood_at is not None
    waiting = page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('liminal.answer.')).length")
    assert waiting == 0
