"""The pages of emotion boundaries and morphs: choices, bad addresses, what is shown of a run, and the real thing in a browser."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit
from playwright.sync_api import expect

from core.analysis.estimate import Estimate
from core.errors import LiminalError
from core.models import registry
from core.models.builtin.head.latents import set_named_value
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.events import BaseShown, BoundarySampleMade, ClassifierScores, DenoisingStep
from tests.emotion_sets import emotion_set, unanimous
from tests.ui.study_sets import answer_all, made_study
from tests.ui.visits import app
from ui import bases
from ui.emotion import grid, morph, page, results, runs

CLASSIFIERS = EmotionConfiguration("surprise", "fear").classifiers


@pytest.fixture(autouse=True)
def _fresh():
    streamlit.cache_resource.clear()
    yield
    streamlit.cache_resource.clear()


@pytest.fixture
def at_once(jobs_at_once, monkeypatch):
    """Work is done when it is handed in, by a generator that plants its samples; -> the configurations it was asked for."""
    asked = []

    def generate(configuration, progress=None, *, base=None):
        asked.append((configuration, base))
        shares = [(0.4, 0.3, True), (0.1, 0.5, False), (0.35, 0.35, True)]
        planted = [unanimous(*row, configuration) for row in shares]
        made = emotion_set(planted, configuration=configuration, distances=[0.4, 0.7, np.nan])
        latents = [None] * 3
        if configuration.generator == "head":  # fear grows from face to face
            latents = [set_named_value(base.latent, "fear", strength) for strength in (0.3, 0.6, 0.9)]
        emit_all(made, planted, progress, latents)
        return made

    monkeypatch.setattr("core.sampling.emotion.generate.generate_emotion_set", generate)
    return asked


def opinion(p1, p2, configuration):
    p = np.full(6, (1 - p1 - p2) / 4)
    p[list(configuration.pair)] = p1, p2
    return ClassifierScores(tuple(p), tuple(p), tuple(np.log(p)))


def emit_all(made, planted, progress, latents):
    """The events of a run whose samples are ``planted``: the base, a way of three steps, and the faces."""
    configuration = made.emotion
    rows = made.samples
    base = rows[rows["sample_type"] == "genuine"].iloc[0]
    everybody = dict.fromkeys(configuration.classifiers, opinion(0.2, 0.2, configuration))
    progress.emit(BaseShown(0, made.images[base["sample_id"]], everybody))
    for step in range(3):
        progress.emit(DenoisingStep(0, step / 3, np.full((len(planted), 2), 0.1 * step)))
    boundary = rows[rows["sample_type"] == "boundary"]
    for index, (says, (_, row)) in enumerate(zip(planted, boundary.iterrows(), strict=True)):
        opinions = {name: opinion(p1, p2, configuration) for name, (p1, p2, _) in says.items()}
        passed = {name: kept for name, (_, _, kept) in says.items()}
        above = {name: (p1 > 0.25, p2 > 0.25) for name, (p1, p2, _) in says.items()}
        image = made.images[row["sample_id"]]
        distance, latent = float(row["distance_dlib"]), latents[index]
        progress.emit(BoundarySampleMade(index, image, opinions, passed, above, distance, row["sample_id"], latent))


def texts(test):
    kinds = (test.title, test.header, test.subheader, test.error, test.info, test.markdown)
    return " ".join(str(each.value) for kind in kinds for each in kind)


def html(test):
    return " ".join(str(each.proto.body) for each in test.get("html"))


def component(test, name):
    """The data that a component of ours was given; of several the last one."""
    import json

    for each in reversed(test.get("bidi_component")):
        if each.proto.component_name.endswith(name):
            return json.loads(each.proto.json)
    raise AssertionError(f"no component {name}")


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("page", ["emotion.py", "morph.py"])
def test_an_address_that_makes_no_sense_is_the_default(page):
    nonsense = {
        "base": "nobody",
        "pair": "fear-fear",
        "count": "many",
        "freedom": "7",
        "strategy": "x",
        "gamma": "nan",
        "loss": "y",
    }
    test = app(page, **nonsense, adaptive="maybe", resampling="-1", seed="-3", sample="z", generator="none", frames="2", row="yes")
    assert not test.error
    assert test.session_state["feelings"] == ["fear", "surprise"]
    assert "emotion_job" not in test.session_state
    assert "morph_job" not in test.session_state


@pytest.mark.usefixtures("idle")
def test_the_address_sets_every_choice():
    test = app(
        "emotion.py", pair="anger-disgust", count="16", freedom="1.0", strategy="direct", gamma="3", loss="product", adaptive="0",
        resampling="4", generator="dcgan", seed="12",
    )  # fmt: skip
    configuration, _ = test.session_state["emotion_job"]
    assert (configuration.emotion1, configuration.emotion2, configuration.count, configuration.freedom) == (
        "disgust",
        "anger",
        16,
        1.0,
    )
    assert (configuration.strategy, configuration.gamma, configuration.loss) == ("direct", 3.0, "product")
    assert (configuration.adaptive, configuration.resampling, configuration.generator) == (False, 4, "dcgan")
    assert (configuration.seed, len(configuration.base)) == (12, 12)


@pytest.mark.usefixtures("idle")
def test_a_third_feeling_takes_the_place_of_the_first():
    test = app("emotion.py", pair="fear-surprise", seed="1")
    group = next(each for each in test.button_group if each.label.startswith("Between"))
    group.set_value(["surprise", "fear", "anger"]).run()
    assert test.query_params["pair"] == "surprise-anger"
    assert "seed" not in test.query_params  # what was made for the other pair is gone
    assert sorted(test.session_state["feelings"]) == ["anger", "surprise"]
    group = next(each for each in test.button_group if each.label.startswith("Between"))
    group.set_value(["anger"]).run()
    assert sorted(test.session_state["feelings"]) == ["anger", "surprise"]  # two are always chosen


@pytest.mark.usefixtures("idle")
def test_nothing_is_made_before_it_is_asked_for():
    test = app("emotion.py")
    assert "emotion_job" not in test.session_state
    test.button(key="make-faces").click().run()
    assert test.query_params["seed"] == "0"
    assert "emotion_job" in test.session_state


@pytest.mark.usefixtures("idle")
def test_the_papers_own_guidance_by_one_button():
    test = app("emotion.py")
    test.button(key="as-in-paper").click().run()
    test.button(key="make-faces").click().run()
    configuration, _ = test.session_state["emotion_job"]
    assert configuration == configuration.with_guidance("paper")


def test_a_finished_run_is_shown_with_its_reasons(at_once):
    test = app("emotion.py", seed="5", generator="dcgan")
    configuration, base = at_once[0]
    assert configuration.base is not None
    assert base.latent.shape == (100,)
    shown = component(test, "boundary")
    kept, lost = shown["groups"]
    assert [face["words"] for face in kept["faces"]] == ["either"] * 2
    assert [face["words"] for face in lost["faces"]] == ["fear"]
    assert lost["faces"][0]["note"].startswith("Not enough surprise: ")
    assert kept["faces"][0]["place"] == [0.4, 0.3]
    assert kept["faces"][0]["path"] == [[0.0, 0.0], [0.1, 0.1], [0.2, 0.2]]
    assert "Both feelings are raised in 2 of 3 for" in html(test)
    assert [row["emotion"] for row in component(test, "activations")["rows"]] == list(EMOTIONS)


def test_a_face_of_the_address_is_opened(at_once):
    test = app("emotion.py", seed="5", generator="dcgan")
    face = component(test, "boundary")["groups"][1]["faces"][0]
    opened = app("emotion.py", seed="5", generator="dcgan", sample=face["id"])
    assert "Filtered out: not enough surprise" in html(opened)
    assert "dlib ResNet takes them for two people: distance 0.70" in html(opened)
    assert html(opened).count('class="voice"') == len(CLASSIFIERS)


def test_what_changed_is_told_and_the_face_goes_along(at_once):
    query = {"seed": "5", "generator": "head", "pair": "surprise-fear"}
    test = app("emotion.py", **query)
    faces = [face for group in component(test, "boundary")["groups"] for face in group["faces"]]
    changes = [{row["words"]: row["change"] for row in face["changes"]} for face in faces]
    assert changes[0].keys() == changes[1].keys()  # both kept; the third was filtered
    assert changes[1]["eyes opened wide"] == pytest.approx(3 * changes[0]["eyes opened wide"], abs=0.02)
    opened = app("emotion.py", sample=faces[1]["id"], **query)
    assert "Above all: inner ends of the brows raised" in html(opened)
    assert [tile["id"] for tile in component(opened, "faces")["groups"][0]["tiles"]] == [faces[2]["id"], faces[0]["id"]]
    base = at_once[-1][0].base
    latent = set_named_value(bases.find_base("head", base).latent, "fear", 0.9)
    name = bases.name_made_face("head", base, latent)
    made = bases.find_base("head", name)
    assert np.array_equal(made.latent, latent)
    assert made.base_id == name
    for broken in (f"{base}~", f"{base}~x", f"{base}~{'A' * 4000}", f"{base}~AAD__3__"):
        assert bases.find_base("head", broken).base_id == base


@pytest.mark.parametrize(
    ("page", "function", "query"),
    [("emotion.py", "generate.generate_emotion_set", {"seed": "1"}), ("morph.py", "morph.make_morph", {"row": "1"})],
)
def test_a_job_that_fails_says_why(at_once, monkeypatch, page, function, query):
    def refuse(*_, **__):
        raise LiminalError("The prior is missing; train it again.")

    monkeypatch.setattr(f"core.sampling.emotion.{function}", refuse)
    test = app(page, generator="dcgan", **query)
    assert [each.value for each in test.error] == ["The prior is missing; train it again."]


def test_events_of_several_groups_keep_their_own_ways():
    everybody = dict.fromkeys(CLASSIFIERS, opinion(0.2, 0.2, EmotionConfiguration("surprise", "fear")))
    events = [BaseShown(0, np.zeros((2, 2, 3), np.uint8), everybody)]
    events += [DenoisingStep(first, 0.5, np.array([[0.1 * first, 0.0], [0.3, 0.1 * first]])) for first in (0, 2, 0)]
    gathered = runs.gather_events(events)
    assert gathered.paths == {0: [(0, 0)] * 2, 1: [(0.3, 0)] * 2, 2: [(0.2, 0)], 3: [(0.3, 0.2)]}


def test_where_an_answer_flips():
    assert morph.find_flips([0.9, 0.5, 0.1], [0.1, 0.5, 0.9]) == [0.5]
    assert morph.find_flips([0.6, 0.6, 0.1], [0.2, 0.4, 0.9]) == [pytest.approx(0.5 + 0.5 * 0.2 / 1.0)]  # a lead of -0.2, then 0.8
    assert morph.find_flips([0.9, 0.8], [0.1, 0.2]) == []
    assert morph.find_flips([0.1, 0.2], [0.9, 0.8]) == []  # it leads from the start
    assert morph.find_flips([0.1, 0.5, 0.9], [0.9, 0.5, 0.1]) == [0.5]


def test_an_answer_that_goes_back_and_forth_is_told_in_full():
    flips = morph.find_flips([0.9, 0.1, 0.9, 0.1], [0.1, 0.9, 0.1, 0.9])
    assert flips == [pytest.approx(place) for place in (1 / 6, 3 / 6, 5 / 6)]
    words = morph.describe_flips(flips, "fear", "surprise", second_leads=False)
    assert words == "changes 3 times: to surprise at 17 %, to fear at 50 % and to surprise at 83 % of the way"
    assert morph.describe_flips([0.4], "fear", "surprise", second_leads=True) == "from surprise to fear at 40 % of the way"
    assert "does not change" in morph.describe_flips([], "fear", "surprise", second_leads=False)


def test_a_place_that_the_row_does_not_tell_is_not_told():
    assert morph.describe_even_point(Estimate(0.47, 0.44, 0.51, 25)) == "; equally likely at 47 % (44 to 51 %)"
    assert morph.describe_even_point(Estimate(0.44, 0.0, 1.0, 25)) == "; where it finds both equally likely cannot be told"
    assert morph.describe_even_point(Estimate(math.nan, math.nan, math.nan, 25)) == ""


def test_the_judge_s_state_is_called_as_that_of_the_one_who_steered():
    configuration = EmotionConfiguration("surprise", "fear")
    guide, judge = configuration.steerer, configuration.held_out_classifier

    def note(p1, p2):
        opinions = {guide: opinion(0.6, 0.3, configuration), judge: opinion(p1, p2, configuration)}
        passed = {guide: True, judge: False}
        made = BoundarySampleMade(0, np.zeros((2, 2, 3), np.uint8), opinions, passed, dict.fromkeys(passed, (True, True)), 0.1, "a")
        return results.build_face_tile("a", made, [], configuration).note

    title = registry.find_entry(judge).title
    assert note(0.3, 0.4).endswith(f"{title} agrees.")
    assert note(0.1, 0.8).endswith(f"{title} says fear.")


def test_a_table_of_other_faces_says_so():
    view = SimpleNamespace(configuration=EmotionConfiguration("surprise", "fear"))
    assert page._name_other_generator(view.configuration.generator, view) == ""
    assert page._name_other_generator("dcgan", view) == "Counted on faces of DCGAN, 64 pixels, not on those of Rendered head. "


def test_the_boundary_of_a_grid_runs_where_both_are_equal():
    rows, columns = np.mgrid[0:7, 0:7]
    pieces = grid.trace_boundary((columns - rows - 0.5).astype(float))
    assert len(pieces) == 11
    for x1, y1, x2, y2 in pieces:
        assert (x1 - y1, x2 - y2) == (pytest.approx(0.5), pytest.approx(0.5))
    assert grid.trace_boundary(np.ones((7, 7))) == []


def test_what_people_said_of_a_grid_is_found(place):
    store, library = place
    sample_set = emotion_set([unanimous(0.2, 0.1, False)] * 2, side=24)
    sample_set = replace(sample_set, samples=sample_set.samples.replace({"sample_type": {"boundary": "morph"}}))
    assert grid.load_answers(sample_set) == ({}, None)
    study = made_study(store, library, "Grid", sample_set, sentinels=0)
    assert len(store.stimuli("Grid")) == 2  # those that a network would filter out, too
    names = sorted(stimulus.stimulus for stimulus in store.stimuli("Grid"))
    answer_all(store, study, lambda name: "fear" if name == names[0] else "anger")
    counts, asked = grid.load_answers(sample_set)
    assert asked.name == "Grid"
    assert {name: counts[name]["fear"] for name in names} == {names[0]: 1, names[1]: 0}


def test_a_kept_face_that_leans_is_not_called_even():
    configuration = EmotionConfiguration("surprise", "fear")

    def said(p1, p2, above):
        seen = opinion(p1, p2, configuration)
        made = BoundarySampleMade(
            0, np.zeros((2, 2, 3), np.uint8), {"small-cnn": seen}, {"small-cnn": all(above)}, {"small-cnn": above}, 0.1, "a"
        )
        return runs.describe_verdict(made, configuration, "small-cnn")

    assert said(0.3, 0.4, (True, True)) == "could be either"
    assert said(0.05, 0.9, (True, True)) == "both raised, mostly fear"
    assert said(0.24, 0.5, (True, True)) == "both raised, mostly fear"  # outside the map's zone "either" as well
    assert said(0.2, 0.1, (True, True)) == "both raised, another feeling stronger"
    assert said(0.3, 0.1, (True, False)) == "not enough fear"
    assert said(0.1, 0.1, (False, False)) == "too little of both surprise and fear"


def test_who_steered_depends_on_the_strategy():
    two_stage, direct = (EmotionConfiguration("surprise", "fear", strategy=each) for each in ("two-stage", "direct"))
    assert two_stage.describe_role("head-emotion-mlp") == "steered"
    assert two_stage.describe_role("mini-xception") == "taught the one that steered"
    assert direct.describe_role("mini-xception") == "steered"
    assert {each.describe_role("small-cnn") for each in (two_stage, direct)} == {"did not steer"}


@pytest.mark.browser
def test_faces_between_two_feelings_are_made_looked_at_and_downloaded(server, open_page):
    page = open_page(f"{server}/emotion?generator=dcgan&count=4&pair=happiness-surprise")
    page.get_by_role("button", name="Make faces").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".st-key-boundary .between")).to_have_count(4)
    assert page.locator(".st-key-boundary .way .way-head").count() == 5  # four faces and the base
    assert page.locator(".st-key-boundary .way > g circle").count() > 4  # the ways there
    tile = page.locator(".st-key-boundary .between").first
    tile.hover()
    expect(page.locator(".way-chosen")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download this set").click()
    assert download.value.suggested_filename.endswith(".zip")
    tile.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Small CNN")
    expect(dialog.locator(".bars")).to_have_count(4)
    assert "sample=" in page.url
    assert page.locator("img:not([alt])").count() == 0
    again = open_page(page.url)
    expect(again.get_by_role("dialog")).to_contain_text("Small CNN")


@pytest.mark.browser
def test_a_grid_is_drawn_and_one_of_its_faces_goes_along(server, open_page, settle):
    page = open_page(f"{server}/emotion?generator=head&pair=anger-surprise")
    page.get_by_role("button", name="Draw the grid").click()
    cells = page.locator(".st-key-grid .feeling")
    expect(cells).to_have_count(49)
    assert page.locator(".st-key-grid .feelings-line").count() > 0  # somewhere the network changes its mind
    assert {cells.first.get_attribute("data-side"), cells.last.get_attribute("data-side")} <= {"0", "1", "-1"}
    page.locator(".st-key-grid .feeling[aria-label^='surprise 50 %, anger 50 %']").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".actions > div").first).to_be_visible()
    assert dialog.locator(".portrait img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    pressed = page.url
    dialog.locator(".st-key-neighbours button").first.click()
    page.wait_for_url(lambda url: url != pressed)
    settle(page)
    page.get_by_role("dialog").get_by_text("Morph from this face").click()
    expect(page.get_by_text("made from Face")).to_be_visible()
    assert "~" in page.url


@pytest.mark.browser
def test_a_morph_follows_its_slider(server, open_page):
    page = open_page(f"{server}/morph?generator=dcgan&frames=9&pair=happiness-anger")
    page.get_by_role("button", name="Make the row").click()
    figure = page.locator(".st-key-morph .morph")
    expect(figure).to_have_attribute("data-ready", "true")
    slider = page.get_by_label("How far from happiness to anger")
    slider.focus()
    said = set()
    for key in ("Home", "End"):
        page.keyboard.press(key)
        said.add(page.locator(".morph-figure figcaption").inner_text())
    assert figure.get_attribute("data-frame") == "8"
    assert len(said) == 2
    page.locator(".morph-row button").nth(2).click()
    assert figure.get_attribute("data-frame") == "2"
    page.get_by_role("button", name="Small CNN").click()
    expect(page.locator(".morph-part")).to_contain_text("did not steer")


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/emotion", "/morph"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_hangs_over_a_narrow_screen(server, open_page, path, scheme):
    page = open_page(f"{server}{path}", width=390, height=844, color_scheme=scheme)
    page.wait_for_timeout(500)
    assert page.evaluate("(main => main.scrollWidth - main.clientWidth)(document.querySelector('[data-testid=stMain]'))") <= 0
    assert page.locator("img:not([alt])").count() == 0
