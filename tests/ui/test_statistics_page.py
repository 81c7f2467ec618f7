"""Statistics and Compare without a browser, and a report in one that is offline."""

import threading

import pytest
from playwright.sync_api import expect

from core.analysis.study_data import load_study_data
from core.figures.contents import EMOTION_SECTIONS, IDENTITY_SECTIONS, list_sections, split_sections
from core.figures.report import build_report
from core.sampling.configuration import IdentityConfiguration
from core.sampling.identity import generate_identity_batch
from core.studies.library import Library
from core.studies.planning import PreparedStudy, list_stimuli, make_emotion_plan, make_identity_plan
from core.studies.simulation import simulate_study
from tests.emotion_sets import emotion_set, unanimous
from tests.fakes import FakeRecogniser, fake_panel
from tests.figures.study_materials import identity_material
from tests.ui.visits import AS_OWNER, app, paints_without_torch, words
from ui import server

pytestmark = pytest.mark.usefixtures("idle")


@pytest.fixture(scope="module")
def pairs():
    recognisers = [FakeRecogniser("dlib"), FakeRecogniser("sface")]
    return generate_identity_batch(
        IdentityConfiguration(seed=7, iterations=2, sigma=0.5), 0, panel=fake_panel(recognisers[0], recognisers)
    )


@pytest.fixture(scope="module")
def faces():
    return emotion_set([unanimous(0.5, 0.3 + 0.01 * place, True) for place in range(12)])


def study(place, name, sample_set, *, raters=5, seed=1):
    store, library = place
    set_id = library.add(sample_set, f"Faces of {name}")
    stimuli = list_stimuli(sample_set, set_id)
    plan = (make_identity_plan if sample_set.kind == "identity" else make_emotion_plan)(stimuli)
    made = simulate_study(name, PreparedStudy(plan, tuple(stimuli), (set_id,)), {set_id: sample_set}, raters=raters, seed=seed)
    store.restore(made.study, made.stimuli, made.ratings, made.raters)


def says(test):
    return [str(each.proto.body) for each in test.get("html") if 'class="says"' in str(each.proto.body)]


@pytest.mark.parametrize("key", [each.key for each in IDENTITY_SECTIONS])
def test_every_chapter_of_pairs_by_its_address(place, pairs, key):
    study(place, "pairs", pairs)
    test = app("statistics.py", study="pairs", section=key)
    assert not test.error
    section = next(each for each in IDENTITY_SECTIONS if each.key == key)
    assert section.question in words(test)
    if section.slow:
        assert test.button(key="start-features")
        assert not says(test)
    else:
        assert says(test)
        assert "simulated" in words(test)


@pytest.mark.parametrize("key", [each.key for each in EMOTION_SECTIONS])
def test_every_chapter_of_feelings_by_its_address(place, faces, key):
    study(place, "feelings", faces, raters=8)
    test = app("statistics.py", study="feelings", section=key)
    assert not test.error
    assert next(each for each in EMOTION_SECTIONS if each.key == key).question in words(test)
    assert says(test)


def test_an_address_that_makes_no_sense_shows_the_first_chapter(place, pairs):
    study(place, "pairs", pairs)
    test = app("statistics.py", study="nobody's", section="x", recogniser="y", limit="z", threshold="nan")
    assert not test.error
    assert IDENTITY_SECTIONS[0].question in words(test)


def test_a_threshold_of_one_s_own(place, pairs):
    study(place, "pairs", pairs)
    test = app("statistics.py", study="pairs", section="threshold", limit="any", threshold="0.25")
    assert test.slider(key="choice-threshold").value == 0.25
    assert "0.25" in says(test)[0]
    test.slider(key="choice-threshold").set_value(0.4).run()
    assert not test.exception
    assert "0.4" in says(test)[0]
    assert test.query_params["threshold"] in ("0.4", ["0.4"])


def test_the_way_on_opens_the_next_chapter(place, pairs):
    study(place, "pairs", pairs)
    test = app("statistics.py", study="pairs")
    test.button(key="onwards").click().run()
    following = split_sections(load_study_data(*place, "pairs"))[0][1]
    assert following.question in words(test)
    assert test.query_params["section"] in (following.key, [following.key])


def chapters(test):
    return test.get("button_group")[0].options


@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_four_chapters_are_shown_and_the_others_behind_more(place, pairs, faces, kind):
    study(place, "asked", pairs if kind == "identity" else faces)
    every = IDENTITY_SECTIONS if kind == "identity" else EMOTION_SECTIONS
    first, rest = ([each.title for each in part] for part in split_sections(load_study_data(*place, "asked")))
    assert len(first) == 4
    assert {each.title for each in every} - {"Easily imitated"} <= {*first, *rest}
    test = app("statistics.py", study="asked")
    assert chapters(test) == first
    test.button(key="contents-more").click().run()
    assert chapters(test) == first + rest
    assert every[0].question in words(test)  # the open one stays
    assert test.button(key="contents-more").label == "Fewer"
    test.button(key="contents-more").click().run()
    assert chapters(test) == first


def test_a_link_to_a_chapter_behind_more_opens_it_and_the_last_one_leads_behind_more(place, pairs):
    study(place, "pairs", pairs)
    test = app("statistics.py", study="pairs", section="times")
    assert len(chapters(test)) == len(list_sections(load_study_data(*place, "pairs")))
    assert "How long do people take?" in words(test)
    assert not [each for each in test.button if each.key == "contents-more"]
    test = app("statistics.py", study="pairs", section=split_sections(load_study_data(*place, "pairs"))[0][-1].key)
    assert len(chapters(test)) == 4
    test.button(key="onwards").click().run()
    assert split_sections(load_study_data(*place, "pairs"))[1][0].question in words(test)
    assert len(chapters(test)) == len(list_sections(load_study_data(*place, "pairs")))


def test_a_report_is_asked_for_in_the_background(place, pairs):
    study(place, "pairs", pairs)
    test = app("statistics.py", study="pairs")
    test.button(key="make-report").click().run()
    assert not test.exception
    assert "report-job" in test.session_state


def test_one_person_s_answers_give_sentences(place, pairs):
    study(place, "one", pairs, raters=1)
    for section in IDENTITY_SECTIONS:
        test = app("statistics.py", study="one", section=section.key, attentive="false")
        assert not test.error
        assert "nan" not in " ".join(says(test)).lower().split()


@pytest.mark.parametrize("mode", ["models", "groups", "studies", "sets"])
def test_comparing_two_of_a_kind(place, pairs, faces, mode):
    study(place, "pairs", pairs)
    study(place, "again", pairs, seed=2)
    feelings = place[1].add(faces, "Other faces")
    of_pairs = next(each.set_id for each in place[1].sets() if each.kind == "identity")
    test = app("compare.py", compare=mode, study="pairs", **{"set-first": of_pairs, "set-second": feelings})
    assert not test.error
    told = says(test)
    if mode == "sets":  # one of pairs and one of feelings
        assert "choose two of one kind" in words(test)
    else:
        assert any("lies" in each for each in told)


def test_comparing_one_with_itself_or_with_nobody(place, pairs):
    study(place, "pairs", pairs)
    test = app("compare.py", study="pairs", **{"recogniser-first": "dlib", "recogniser-second": "dlib"})
    assert "Both are the same" in words(test)
    assert "no other study" in words(app("compare.py", compare="studies", study="pairs"))
    test = app("compare.py", compare="sets")  # of the demonstration: the first two are of one kind and have something to say
    assert not test.error
    assert says(test)


@pytest.mark.parametrize("page", ["statistics.py", "compare.py"])
def test_pages_paint_before_torch_is_imported(place, page, pairs, tmp_path):
    study(place, "pairs", pairs)
    paints_without_torch(page, AS_OWNER)


@pytest.mark.parametrize("page", ["statistics.py", "compare.py", "align.py", "you.py", "disagreement.py", "studies.py"])
def test_title_and_choice_of_a_study_are_painted_before_scipy_is_imported(place, page):
    given = f"{AS_OWNER}; from ui.studies import access; access.install_demonstration = lambda: None"
    paints_without_torch(page, given, 'assert test.title and not {"scipy.stats", "sklearn", "statsmodels"} & set(sys.modules)')


def test_the_server_loads_libraries_after_the_first_page_and_stops_when_it_ends(monkeypatch):
    loaded, painted = [], threading.Event()
    monkeypatch.setattr(server, "FIRST_PAGE_PAINTED", painted)
    monkeypatch.setattr(server, "PRELOADED_MODULES", ("first", "second"))
    monkeypatch.setattr(server, "import_module", loaded.append)
    monkeypatch.setattr(server.access, "unpack_demonstration", lambda: loaded.append("demonstration"))
    thread = threading.Thread(target=server.preload_libraries, args=(threading.Event(),))
    thread.start()
    assert not loaded
    painted.set()
    thread.join()
    assert loaded == ["demonstration", "first", "second"]
    ending = threading.Event()
    ending.set()
    server.preload_libraries(ending)
    assert len(loaded) == 3


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The file of a report."""
    folder = tmp_path_factory.mktemp("report")
    file = folder / "report.html"
    file.write_text(build_report(identity_material(raters=4, source="simulated"), Library(folder, folder)), encoding="utf-8")
    return file


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_opens_offline_without_any_request(chromium, report, scheme):
    file = report
    context = chromium.new_context(offline=True, color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    told, requests = [], []
    page.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    figures = page.locator(".exhibit .figure")
    expect(page.locator(".exhibit .figure:not([data-drawn])")).to_have_count(0)
    assert figures.count() > 15
    assert set(figures.evaluate_all("all => all.map(each => each.dataset.drawn)")) == {scheme}
    assert page.locator(".figure .main-svg").count() >= figures.count()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # nothing sticks out
    with page.expect_download() as got:
        page.locator("[data-save=csv]").first.click()
    assert got.value.path().read_text(encoding="utf-8-sig").startswith("sample_type,step,value")
    assert not told
    assert {url.split(":")[0] for url in requests} <= {"file", "data", "blob"}
    assert len([url for url in requests if url.startswith("file")]) == 1
    context.close()
