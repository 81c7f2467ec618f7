"""The pages of analysis: which study, rankings with their filters and votes, and the map with its selection."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from core.analysis.selection import MOST_IN_LINK, pack_selection, unpack_selection
from core.analysis.study_data import load_study_data
from core.result_cache import ResultCache
from core.sampling.configuration import IdentityConfiguration
from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from tests.ui.visits import AS_OWNER, app, paints_without_torch, words
from ui import pictures
from ui.analysis import map_faces, map_page
from ui.analysis.disagreement import build_votes_table
from ui.analysis.map_page import MapColumn
from ui.analysis.rankings import RankingFilters
from ui.components import pack_bits, unpack_bits
from ui.identity import sets
from ui.studies import owner_gate

pytestmark = pytest.mark.usefixtures("idle")


def component(test, name):
    """The data that a component of ours was given, None where it is not there."""
    for each in test.get("bidi_component"):
        if each.proto.component_name.endswith(name):
            return json.loads(each.proto.json)
    return None


def identity(store, library, name="Mine", people=3, number=4, **values):
    """dlib accepts the first half of the others; everybody says that only the last pair is one person."""
    made = identity_set(number)
    study = made_study(store, library, name, made, **values)
    genuine, *others = made.pairs["pair_id"]
    for _ in range(people):
        answer_all(store, study, lambda pair: "1" if pair in (genuine, others[-1]) else "0")
    return made, study


# Which study


def test_an_empty_shelf_shows_the_way_on(place):
    for page in ("disagreement.py", "map.py"):
        test = app(page)
        assert "Nobody has been asked yet" in words(test)
        assert [link.proto.label for link in test.get("page_link")][-4:-1] == ["Identity samples", "Emotion boundary", "Studies"]


def test_answers_of_people_come_first_and_simulated_ones_can_be_hidden(place):
    store, library = place
    identity(store, library, "Asked")
    made_study(store, library, "Made up", faces(), source="simulated", note="Planted nothing")
    test = app("disagreement.py")
    assert test.selectbox(key="analysis-study").value == "Asked"
    assert test.selectbox(key="analysis-study").options == ["Made up", "Asked"]
    assert test.query_params["study"] == "Asked"
    other = app("disagreement.py", study="Made up")
    assert 'data-mark="simulated"' in words(other)
    assert "Planted nothing" in words(other)
    other.toggle(key="hide").set_value(True).run()
    assert other.selectbox(key="analysis-study").options == ["Asked"]
    assert 'data-mark="simulated"' not in words(other)


@pytest.mark.parametrize("page", ["disagreement.py", "statistics.py", "compare.py", "map.py"])
def test_a_study_that_nobody_answered_or_whose_only_person_is_left_out_is_no_default(place, page):
    store, library = place
    identity(store, library, "Asked")
    identity(store, library, "Empty", people=0)
    lone = made_study(store, library, "Lone", identity_set(14))
    answer_all(store, lone, lambda pair: "0", rater="careless")
    assert app(page).selectbox(key="analysis-study").value == "Asked"
    assert app(page, study="Lone").selectbox(key="analysis-study").value == "Lone"


@pytest.mark.parametrize("page", ["disagreement.py", "statistics.py", "compare.py", "you.py"])
def test_an_unknown_study_in_a_link_is_said_until_another_one_is_chosen(place, page):
    store, library = place
    identity(store, library, "Asked")
    identity(store, library, "Other")
    test = app(page, study="Gone")
    assert "There is no study 'Gone'" in words(test)
    test.run()
    assert "There is no study 'Gone'" in words(test)
    test.selectbox(key="analysis-study").set_value("Asked").run()
    assert "Gone" not in words(test)
    assert test.query_params["study"] in ("Asked", ["Asked"])


def test_others_see_simulated_studies_only(place, monkeypatch):
    store, library = place
    identity(store, library, "Asked")
    identity(store, library, "Made up", people=0, source="simulated")
    monkeypatch.setattr(owner_gate, "_is_local", lambda: False)
    test = app("disagreement.py")
    assert test.selectbox(key="analysis-study").options == ["Made up"]
    asked = app("disagreement.py", study="Asked")
    assert "For the owner" in words(asked)
    assert component(asked, "ranking") is None


@pytest.mark.parametrize("page", ["disagreement.py", "map.py"])
def test_a_page_of_analysis_paints_before_torch_is_imported(page, place):
    store, library = place
    identity(store, library)
    given = f"{AS_OWNER}; from ui.studies import access; access.install_demonstration = lambda: None"
    paints_without_torch(page, given, 'assert test.selectbox(key="analysis-study").value == "Mine"')


def test_who_is_left_out_is_said_and_can_be_counted_again(place):
    store, library = place
    _, study = identity(store, library, number=12)
    answer_all(store, study, lambda pair: "0", rater="careless")
    test = app("disagreement.py")
    assert "1 person is left out" in words(test)
    assert "careless" in words(test)
    votes = [tile["words"][0] for tile in component(test, "ranking")["tiles"]]
    assert all(" of 3 " in each for each in votes)
    test.toggle(key="attentive").set_value(False).run()
    assert all(" of 4 " in tile["words"][0] for tile in component(test, "ranking")["tiles"])


@pytest.mark.parametrize("page", ["disagreement.py", "statistics.py"])
def test_where_everybody_who_answered_is_left_out_that_is_said_with_the_switch_beside_it(place, page):
    store, library = place
    study = made_study(store, library, "Feelings", faces(14))
    answer_all(store, study, lambda _: "anger", rater="careless")
    test = app(page)
    assert "Everybody who answered is left out" in words(test)
    assert "Nobody has answered" not in words(test)
    test.button(key="count-everybody").click().run()
    assert "is left out" not in words(test)
    own = app("studies.py", study="Feelings")
    assert "Everybody who answered is left out by the rules above" in words(own)
    assert "no votes yet" not in str(component(own, "faces"))
    assert "1 vote, left out" in str(component(own, "faces"))
    assert "has 1 votes" not in words(own)


# Rankings


def test_both_ends_of_the_signed_score_come_first_where_they_are_asked_for(place):
    store, library = place
    made, _ = identity(store, library)
    near, far = made.pairs["pair_id"].iloc[1], made.pairs["pair_id"].iloc[4]
    data = component(app("disagreement.py"), "ranking")
    first = data["tiles"][0]
    assert first["id"] in set(made.pairs["pair_id"].iloc[1:3])  # dlib accepts both, nobody else does
    assert near in {tile["id"] for tile in data["tiles"]}
    assert first["score"].startswith("−0.")
    assert first["words"][0] == "0 of 3 say the same person"
    assert first["mark"] == "only 3 votes, fewer than 5"
    assert data["zero"] == 0.5
    assert first["low"] <= first["at"] <= first["high"]
    base = made.pairs["base_id"].iloc[0]
    assert first["pictures"][0].rsplit("/", 1)[1] == base  # the base above the sample
    other = component(app("disagreement.py", **{"ranking-identity": "Locked out"}), "ranking")
    assert other["tiles"][0]["id"] == far
    assert other["tiles"][0]["score"] == "+1.00"


def test_the_score_says_how_it_is_made_and_changes_with_the_scaling(place):
    store, library = place
    identity(store, library)
    linear = app("disagreement.py")
    assert "share of people who say 'same person' minus how sure the recogniser is" in words(linear)
    ranks = app("disagreement.py", scaling="rank")
    assert "halved" in words(ranks)
    assert [each["score"] for each in component(linear, "ranking")["tiles"]] != [
        each["score"] for each in component(ranks, "ranking")["tiles"]
    ]


def test_filters_come_from_the_address_and_an_empty_one_says_so(place):
    store, library = place
    made, _ = identity(store, library)
    test = app("disagreement.py", **{"types-identity": "the base itself"})
    assert [tile["id"] for tile in component(test, "ranking")["tiles"]] == [made.pairs["pair_id"].iloc[0]]
    assert "1 of 5 pairs" in words(test)
    empty = app("disagreement.py", enough="true")
    assert component(empty, "ranking") is None
    assert "Nothing fits" in words(empty)
    empty.button(key="forget-filters").click().run()
    assert len(component(empty, "ranking")["tiles"]) == 5


def test_filters_of_a_table():
    table = pd.DataFrame(
        {
            "sample_type": ["positive", "positive", "negative"],
            "step": [0.2, 0.4, np.nan],
            "base_id": ["a", "b", "a"],
            "few": [False, True, False],
            "emotion1": ["fear", "fear", "anger"],
            "emotion2": ["anger", "sadness", "disgust"],
        }
    )
    assert len(RankingFilters().of(table)) == 3
    assert RankingFilters(steps=("a step of 0.4",)).of(table).index.tolist() == [1]
    assert RankingFilters(types=("positive",), base="a").of(table).index.tolist() == [0]
    assert RankingFilters(pairs=("anger or disgust",)).of(table).index.tolist() == [2]
    assert RankingFilters(enough=True).of(table).index.tolist() == [0, 2]


def test_feelings_are_ranked_too_and_a_study_without_answers_says_so(place):
    store, library = place
    study = made_study(store, library, "Feelings", faces())
    test = app("disagreement.py")
    assert component(test, "ranking") is None
    assert "Nobody has answered yet" in words(test)
    answer_all(store, study, lambda _: "anger")
    answer_all(store, study, lambda _: "fear")
    for ranking in ("People and a network", "Only people see it", "Only the network sees it", "People among themselves"):
        shown = component(app("disagreement.py", attentive="false", **{"ranking-emotion": ranking}), "ranking")
        assert len(shown["tiles"]) == 5, ranking  # without the attention check
        assert "1 of 2" in shown["tiles"][0]["words"][0]
    both = app("disagreement.py", attentive="false", **{"ranking-emotion": "Network and network"})
    assert all(tile["low"] is None for tile in component(both, "ranking")["tiles"])
    assert "each classifier answers once" in words(both)


def test_a_click_opens_every_vote_without_names(place):
    store, library = place
    made, _ = identity(store, library, people=2)
    pair = made.pairs["pair_id"].iloc[1]
    test = app("disagreement.py", item=pair)
    assert component(test, "ranking")["selected"] == pair
    said = words(test)
    assert "0 of 2 votes" in said
    assert "would unlock" in said
    (table,) = test.dataframe
    assert table.value["Who it is"].tolist() == ["two people", "two people"]
    assert not any("rater" in str(value) for value in table.value.to_numpy().ravel())


def test_votes_stand_in_the_order_of_time_and_say_who_does_not_count():
    times = pd.to_datetime(["2026-01-02", "2026-01-02", "2026-01-01", "2026-01-01"], utc=True)
    answers = pd.DataFrame(
        {
            "rater": ["b", "b", "a", "a"],
            "task": ["similarity", "identity"] * 2,
            "value": ["40", "1", "60", "0"],
            "reaction_time_ms": [1000.0, 2000.0, np.nan, 500.0],
            "created_at": times,
            "source": "human",
        }
    )
    table = build_votes_table(answers, np.array([True, True, False, False]))
    assert table["Who it is"].tolist() == ["two people", "the same person"]
    assert table["How alike"].tolist() == [60, 40]
    assert table["Took (s)"].tolist() == [0.5, 2.0]
    assert table["Counts"].tolist() == ["yes", "left out"]


# The map


def test_the_map_shows_a_study_and_its_selection_is_in_the_address(place):
    store, library = place
    made, _ = identity(store, library)
    names = made.samples["sample_id"].tolist()
    test = app("map.py", selection=pack_selection(names[1:3]))
    data = component(test, "face_map")
    assert data["count"] == 5
    assert unpack_bits(data["selected"], 5).tolist() == [False, True, True, False, False]
    tiles = component(test, "faces")["groups"][0]["tiles"]
    assert [tile["id"] for tile in tiles] == names[1:3]
    assert [tile["title"] for tile in tiles] == [f"another person, of person 1, no. {number}" for number in (2, 3)]
    test.button(key="selection-set").click().run()
    (kept,) = [entry for entry in library.sets() if entry.title == "2 faces drawn around on the map"]
    assert set(library.load(kept.set_id).pairs["sample_id"]) == set(names[1:3])
    assert "Kept in the library: 1 set of 2 faces." in test.toast[0].value
    assert data["colour"]["kind"] == "words"
    assert {each["name"]: each["count"] for each in data["colour"]["names"]} == {"another person": 4, "the base itself": 1}
    number = component(app("map.py", colour="Distance under dlib ResNet"), "face_map")["colour"]
    assert number["kind"] == "number"
    shared = component(app("map.py", colour="People: the same person"), "face_map")["colour"]
    assert (shared["low"], shared["high"]) == (0, 1)
    nonsense = app("map.py", selection="zzzz", colour="nothing known", way="upside down", item="x", study="none")
    assert not nonsense.error


def test_attention_checks_are_called_so_on_the_map(place):
    store, library = place
    made_study(store, library, "Feelings", faces())
    material = load_study_data(store, library, "Feelings")
    chosen = map_faces._load_study_faces.__wrapped__("", SimpleNamespace(study_data=material))
    kinds = map_page.list_columns(chosen)["Kind of sample"].values
    checks = [each.stimulus for each in material.stimuli if each.is_sentinel]
    assert checks
    assert set(kinds[chosen.samples["sample_id"].isin(checks)]) == {"attention check"}
    assert "the base itself" not in set(kinds)


def test_another_person_on_the_map_is_not_the_base_itself(place):
    store, library = place
    made = identity_set(3)
    alone = made.samples["base_id"].where(made.samples["sample_type"] != "negative", made.samples["sample_id"])
    samples = made.samples.assign(base_id=alone, sample_type="genuine")  # as other people are stored: each as its own base
    made_study(store, library, "People", replace(made, samples=samples))
    material = load_study_data(store, library, "People")
    chosen = map_faces._load_study_faces.__wrapped__("", SimpleNamespace(study_data=material))
    kinds = map_page.list_columns(chosen)["Kind of sample"].values
    assert kinds.value_counts().to_dict() == {"another person": 3, "the base itself": 1}


def test_the_map_shows_any_set_of_the_library(place):
    _, library = place
    set_id = library.add(faces(), "Some faces")
    test = app("map.py", faces=map_faces.SET, set=set_id)
    assert component(test, "face_map")["sets"] == [set_id]
    assert "Plane through three" not in test.selectbox(key="way").options  # nobody searched here


def test_a_sample_of_several_pairs_is_one_point():
    made = identity_set()
    twice = pd.concat([made.pairs, made.pairs.iloc[1:2].assign(pair_id="other", base_id="else")])
    rows = map_faces.match_pairs(made.samples, twice)
    assert rows["pair_id"].tolist() == made.pairs["pair_id"].tolist()
    assert map_faces.match_pairs(made.samples, twice.iloc[:0])["pair_id"].isna().all()
    lone = map_faces.match_pairs(made.samples.assign(base_id="moved"), twice)
    assert lone["pair_id"].tolist() == made.pairs["pair_id"].tolist()


def test_faces_that_were_just_made_fall_into_the_map_that_is_there(place):
    store, library = place
    identity(store, library)
    new = identity_set(2)
    sets.cached_sets().put("recipe", new)
    test = app("map.py")
    assert not [each for each in test.toggle if each.key == "live"]
    test.session_state["set_job"] = ("recipe", "job")
    test.run()
    before = component(test, "face_map")
    assert before["extras"] == []
    test.toggle(key="live").set_value(True).run()
    after = component(test, "face_map")
    assert after["url"] == before["url"]  # the map itself stays
    assert len(after["extras"]) == 3
    # the same latents are in both sets, so that the new faces lie where the old ones do
    content = pictures.POINTS.get(after["url"].rsplit("/", 1)[1])
    places = np.frombuffer(content[: 8 * 5], "<f4").reshape(5, 2)
    assert np.array([(each["x"], each["y"]) for each in after["extras"]]) == pytest.approx(places[:3], abs=1e-5)
    other = replace(new, configuration=IdentityConfiguration(generator="dcgan"))
    sets.cached_sets().put("recipe", other)
    test.run()
    assert component(test, "face_map")["extras"] == []
    assert "have no place on a map" in words(test)


def test_the_plane_goes_through_a_base_its_negative_and_the_lowest_optimum():
    samples = pd.DataFrame({"sample_id": list("abcde"), "base_id": ["a", "b", "a", "a", "a"], "sample_type": "x"})
    pairs = pd.DataFrame(
        {
            "sample_id": list("abcde"),
            "base_id": ["a", "b", "a", "a", "a"],
            "partner_id": [None, None, "b", "b", "z"],
            "sample_type": ["genuine", "genuine", "optimized", "optimized", "optimized"],
            "step": [np.nan, np.nan, 0.5, 0.3, 0.3],
        }
    )
    known = map_faces.MapFaces("k", "identity", tuple("abcde"), {}, samples, pairs, "dcgan", (), "", ())
    assert map_faces.list_planes(known) == {"person 1": {"person 2": ("a", "b", "d")}}
    assert map_faces.list_planes(replace(known, pairs=pairs.iloc[:0])) == {}


def test_places_and_colours_are_the_bytes_that_the_browser_reads():
    points = np.array([[1.5, -2.0], [np.nan, 0.0]], np.float32)
    ids = ["00112233445566778899", "aabbccddeeff00112233"]
    content = map_page.pack_positions(points, ids, [0, 3])
    assert np.array_equal(np.frombuffer(content[:16], "<f4").reshape(2, 2), points, equal_nan=True)
    assert content[16:36].hex() == "".join(ids)
    assert list(content[36:]) == [0, 3]
    words = map_page.encode_colours(MapColumn(pd.Series(["a", None, "b", "a"], dtype="object")), "Title")
    assert list(words.values) == [0, map_page.NO_CATEGORY, 1, 0]
    assert words.legend["without"] == 1
    many = map_page.encode_colours(MapColumn(pd.Series([f"k{place % 20}" for place in range(40)])), "Many")
    assert len(many.legend["names"]) == map_page.MAX_CATEGORIES + 1
    assert max(many.values) == map_page.MAX_CATEGORIES
    assert sum(each["count"] for each in many.legend["names"]) == 40
    marks = [(each["colour"][0], each["symbol"]) for each in many.legend["names"][:-1]]
    assert len(set(marks)) == len(marks)


def test_selections_go_to_a_link_and_back(tmp_path):
    ids = [f"{place:020x}"[::-1] for place in range(1, 200)]
    few, many = ids[3:9], ids[: MOST_IN_LINK + 1]
    assert unpack_selection(pack_selection(few, folder=tmp_path), ids, folder=tmp_path) == few
    assert not list(tmp_path.iterdir())
    token = pack_selection(many, folder=tmp_path)
    assert re.fullmatch(r"k[0-9a-f]{16}", token)
    assert unpack_selection(token, ids, folder=tmp_path) == many
    for wrong in ("", "k0000000000000000", "../../etc", "kzz", "-"):
        assert unpack_selection(wrong, ids, folder=tmp_path) == []
    (tmp_path / f"{token}.json").write_text("7")
    assert unpack_selection(token, ids, folder=tmp_path) == []


def test_bits_of_a_selection():
    chosen = np.arange(21) % 3 == 0
    assert np.array_equal(unpack_bits(pack_bits(chosen), 21), chosen)
    assert pack_bits(np.zeros(5, bool)) == ""
    assert unpack_bits("not base64!", 5).tolist() == [False] * 5
    assert unpack_bits(pack_bits(np.ones(64, bool)), 5).tolist() == [True] * 5


def test_points_are_kept_and_forgotten(monkeypatch):
    monkeypatch.setattr(pictures, "POINTS", ResultCache(3, len))
    first = pictures.points_url(b"one").rsplit("/", 1)[1]
    assert pictures.POINTS.get(first) == b"one"
    pictures.points_url(b"two")
    assert pictures.POINTS.get(first) is None


# In a browser


@pytest.fixture(scope="module")
def own_server(asking):
    """A server with a study "Mine"."""
    address, store, library = asking
    identity(store, library, "Mine")
    return address


@pytest.mark.browser
def test_faces_are_drawn_around_and_found_again(own_server, open_page, settle):
    page = open_page(f"{own_server}/map?study=Mine")
    page.locator(".face_map-root[data-ready=true]").wait_for()
    page.get_by_role("button", name="Draw around faces").click()
    canvas = page.locator(".map-frame canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    page.mouse.move(box["x"] + 0.02 * box["width"], box["y"] + 0.02 * box["height"])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)
    page.mouse.up()
    page.wait_for_url("**selection=**")
    expect(page.locator(".st-key-selected .face")).to_have_count(5)
    link = page.url
    again = open_page(link)
    expect(again.locator(".map-status")).to_contain_text("5 selected")
    again.get_by_role("button", name="Select nothing").click()
    again.wait_for_url(lambda url: "selection" not in url)


@pytest.mark.browser
def test_the_map_can_be_used_without_a_mouse(own_server, open_page):
    page = open_page(f"{own_server}/map?study=Mine")
    page.locator(".face_map-root[data-ready=true]").wait_for()
    page.locator(".map-frame canvas").focus()
    before = page.locator(".face_map-root").get_attribute("data-drawn")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("before => Number(document.querySelector('.face_map-root').dataset.drawn) > Number(before)", arg=before)
    page.keyboard.press("0")
    page.get_by_text("The faces in view as a list").click()
    tile = page.locator(".map-list button").first
    tile.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**selection=**")
    expect(page.locator(".st-key-selected .face")).to_have_count(1)


@pytest.mark.browser
def test_a_ranked_pair_opens_and_its_link_brings_it_back(own_server, open_page):
    page = open_page(f"{own_server}/disagreement?study=Mine")
    page.locator(".ranked").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("of 3 votes")
    page.wait_for_url("**item=**")
    again = open_page(page.url)
    expect(again.get_by_role("dialog")).to_contain_text("of 3 votes")


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/disagreement", "/map"])
def test_analysis_fits_a_narrow_screen(own_server, open_page, path):
    page = open_page(f"{own_server}{path}", width=390, height=844)
    page.wait_for_timeout(500)
    assert page.evaluate("(main => main.scrollWidth - main.clientWidth)(document.querySelector('[data-testid=stMain]'))") <= 0
    assert page.locator("img:not([alt])").count() == 0
