"""The pages' own logic, without a browser."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from core.figures.zoo import measure_generator
from core.models import registry
from core.progress import Stage
from core.sampling.images import encode_webp
from core.sampling.impostor import Impostor
from core.sampling.interpolation import InterpolationStrip
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.strip import StripScores
from tests.ui.study_sets import identity_set
from tests.ui.visits import IDLE, ROOT, app, paints_without_torch, words
from ui import photo
from ui.identity import controversial, sets
from ui.identity.page import describe_counts
from ui.phone import searches, zoo
from ui.progress import describe_stage


@pytest.fixture(autouse=True)
def _fresh(idle):
    streamlit.cache_resource.clear()
    yield
    streamlit.cache_resource.clear()


def texts(test):
    return " ".join(str(each.value) for kind in (test.title, test.header, test.subheader, test.error) for each in kind)


def test_home_is_complete():
    test = app()
    assert "stop being yours" in texts(test)
    assert not test.error
    assert not test.info  # the walk is there


def test_pages_say_so_when_the_address_makes_no_sense():
    for page in ("phone.py", "identity.py"):
        test = app(page, base="nobody", threshold="nan", recogniser="none", generator="none", seed="-3", sample="x", stranger="y")
        assert not test.error
        assert any("There is no face 'nobody'" in each.value for each in test.warning)


def test_a_strict_limit_lets_nobody_in_and_a_loose_one_somebody():
    assert "Nobody gets in" in texts(app("phone.py", threshold="0.05"))
    assert "Gets in, and looks least like the owner" in texts(app("phone.py", threshold="0.9"))


def test_ten_faces_before_a_hundred_phones(monkeypatch):
    """What is said is what is shown, and it is counted on people who had no part."""
    monkeypatch.setattr(zoo, "find_or_render_strangers", lambda generator, recogniser, seeds, slot: dict.fromkeys(seeds, "/a.webp"))
    measured = SimpleNamespace(finished=True, status="done", result=measure_generator("head", "dlib"))
    monkeypatch.setattr(zoo, "find_or_start_job", lambda *_, **__: measured)
    test = app("phone.py", threshold="0.466")
    said = next(each.value for each in test.subheader if "of these 100 phones" in each.value)
    shown = next(element.proto.body for element in test.get("html") if 'class="phones"' in element.proto.body)
    inside = shown.count('<i data-open="true">')
    assert said == f"These 10 faces together open {inside} of these 100 phones"
    assert "Of all 996 owners who had no part in the picking" in words(test)
    assert "prove nothing about real people" in words(test)
    test = app("phone.py", threshold="0.6", faces="one")
    assert "This one face opens" in texts(test)
    searched = app("phone.py", **{"from": "search"})
    assert searched.button(key="search-masters")


def test_models_of_the_address_are_chosen():
    test = app("phone.py", recogniser="sface", generator="dcgan")
    assert test.radio(key="recogniser").value == "sface"
    assert test.radio(key="generator").value == "dcgan"


def test_samples_are_made_only_when_asked_for():
    test = app("identity.py")
    assert "set_job" not in test.session_state
    assert test.button(key="make-samples")


@pytest.mark.parametrize("page", ["home.py", "phone.py", "identity.py", "emotion.py", "morph.py"])
def test_a_page_paints_before_torch_is_imported(page):
    paints_without_torch(page, IDLE, threshold="0.05")


@pytest.mark.parametrize(
    ("total", "page", "rows"), [(0, "1", ""), (3, "1", "abc"), (7, "1", "abc"), (7, "2", "def"), (7, "3", "g")]
)
def test_a_long_list_is_shown_a_page_at_a_time(total, page, rows):
    def script(total):
        import streamlit as st

        from ui.selection import paginate

        chosen = paginate(total, 3, "page", bind="query-params")
        st.text("abcdefg"[:total][chosen])
        st.text(f"{chosen.start} {chosen.stop}")

    test = AppTest.from_function(script, args=(total,))
    test.query_params["page"] = page
    test.run()
    assert not test.exception
    assert test.text[0].value == rows
    first = 3 * (int(page) - 1)
    assert test.text[1].value == f"{first} {first + len(rows)}"


def test_the_searches_offered_and_their_rounds_depend_on_what_predicts_the_recogniser(monkeypatch):
    test = app("identity.py", strategy="surrogate", generator="dcgan-sharp")
    assert (test.radio(key="strategy").value, test.slider(key="rounds").value) == ("gradient", 50)
    for address in ("gradient", "surrogate"):
        test = app("identity.py", strategy=address)
        assert not test.exception
        assert (test.radio(key="strategy").options, test.radio(key="strategy").value) == (["surrogate", "cmaes"], "surrogate")
        assert test.slider(key="rounds").value == 20
    assert app("identity.py", strategy="cmaes").slider(key="rounds").value == 50
    monkeypatch.setattr(registry, "DESCRIPTOR_SURROGATES", {})
    assert app("identity.py").radio(key="strategy").options == ["gradient", "cmaes"]


def test_identity_judges_at_the_calibrated_limit_and_the_delivered_one_is_a_choice(monkeypatch):
    made = identity_set(2)
    made.pairs["distance_dlib"], made.pairs["distance_sface"] = [0.0, 0.38, 0.48], [0.0, 0.25, 0.7]
    monkeypatch.setattr(sets, "find_result", lambda request, partner=None: made if partner is None else None)
    expected = {"": ["open", "open", "closed"], "1-in-100": ["open"] * 2 + ["closed"], "1-in-10000": ["open", "closed", "closed"]}
    expected["delivered"] = ["open"] * 3
    for limit, verdicts in expected.items():
        test = app("identity.py", seed="1", **({"limit": limit} if limit else {}))
        rows = next(json.loads(each.proto.json) for each in test.get("bidi_component") if "person" in each.proto.json.lower())
        shown = [tile["verdict"] for group in rows["groups"] for tile in group["tiles"]]
        assert sorted(shown) == sorted(verdicts), limit
        said = words(test)
        assert ("1 in 1,000 generated strangers gets in" in said) == (limit == "")
        assert ("As delivered, which was set for photographs" in said) == (limit == "delivered")
        assert "3 samples, each a picture of its own" in said
    made.pairs.loc[2, "sample_id"] = made.pairs.loc[1, "sample_id"]
    assert describe_counts(made).startswith("3 samples, 2 pictures: ")


def test_a_walk_says_where_one_face_opens_both_phones(monkeypatch):
    """dlib takes the middle picture for both ends, SFace none; a picture without a face opens neither."""
    picture = encode_webp(np.zeros((8, 8, 3), np.uint8), lossless=True)
    ways = {"dlib": (0.0, 0.3, 0.35, 0.6, 0.7), "sface": (0.0, 0.2, 0.4, None, 0.6)}
    first = tuple(StripScores(name, name.upper(), 0.6, "", distances) for name, distances in ways.items())
    last = tuple(StripScores(name, name.upper(), 0.6, "", distances[::-1]) for name, distances in ways.items())
    strip, made = InterpolationStrip((picture,) * 5, first, last), identity_set(2)
    made.pairs["distance_sface"] = 0.4
    monkeypatch.setattr(sets, "find_result", lambda request, partner=None: made if partner is None else strip)
    test = app("identity.py", seed="1")
    said = words(test)
    assert "DLIB takes 1 of 5 faces for both, from 50 % to 50 % of the way." in said
    assert "SFACE takes no face on this way for both." in said
    bands = next(element.proto.body for element in test.get("html") if 'class="both"' in element.proto.body)
    assert re.findall('data-opens="(.*?)"', bands)[:5] == ["first", "first", "both", "last", "last"]
    assert test.button(key="make-morphs")
    assert test.button(key="find-controversial")


def test_pairs_on_which_recognisers_part_are_shown_with_both_verdicts(monkeypatch):
    made = identity_set(2)
    made.pairs["sample_type"] = ["genuine", "controversial", "controversial"]
    made.pairs["distance_sface"] = [0.0, 0.5, 0.1]
    made.pairs["distance_dlib"] = [0.0, 0.2, 0.6]
    records = [
        {"pair_id": pair, "says_same": name, "margin": 0.4}
        for pair, name in zip(made.pairs["pair_id"][1:], ("dlib", "sface"), strict=True)
    ]
    facts = {"limits": {"dlib": 0.384, "sface": 0.288}, "margin": 0.1, "kept": 2, "pairs": records}
    monkeypatch.setattr(
        controversial, "_find_or_make", lambda *_: replace(made, manifest={**made.manifest, "controversial": facts})
    )
    shown = next(each.proto.body for each in app("identity.py").get("html") if 'class="parting"' in each.proto.body)
    verdicts = re.findall('data-verdict="(.*?)">(.*?)<', shown)
    assert verdicts == [
        ("open", "the same person"),
        ("closed", "two people"),
        ("closed", "two people"),
        ("open", "the same person"),
    ]
    assert shown.count("<img") == 4


@pytest.mark.parametrize("accepted", [True, False])
def test_a_stranger_who_gets_in_is_looked_for_at_once_and_comes_first(accepted):
    test = app("phone.py")
    (generator, recogniser, owner, limit), _ = test.session_state[photo.IMPOSTOR_JOB]
    assert (generator, recogniser, limit) == ("head", "dlib", 0.409)
    assert test.header[0].value == "A search for a stranger who gets in"
    face = np.zeros((24, 24, 3), np.uint8)
    found = [Impostor(face, face, np.zeros(2), 1, {"dlib": 0.3 if accepted else 0.5, "sface": 0.4}, 0.4, accepted)]
    searches.cached_impostors().get_or_compute((generator, recogniser, owner, limit), lambda: found)
    test.run()
    assert test.header[0].value == ("This stranger unlocks the phone" if accepted else "The search did not get in")
    faces = next(each.proto.body for each in test.get("html") if "two-faces" in each.proto.body)
    assert faces.count("<img") == 2  # as large as each other, side by side


def test_the_chosen_face_goes_along_and_a_running_set_is_not_lost_without_a_word():
    ids = [base.base_id for base in load_gallery("head").bases]
    test = app("identity.py", base=ids[3], seed="1")
    _, job = test.session_state[photo.SET_JOB]
    test.query_params.clear()
    test.switch_page(str(ROOT / "pages" / "phone.py")).run()
    assert test.query_params["base"] == ids[3]
    test.query_params.clear()
    test.switch_page(str(ROOT / "pages" / "identity.py"))
    test.query_params["base"] = ids[5]
    test.run()
    assert f"Still being made: the samples around {load_gallery('head').base(ids[3]).title}." in words(test)
    test.button(key="make-samples").click().run()
    assert "so this was stopped: the samples around" in test.toast[0].value
    assert test.session_state[photo.SET_JOB][1] != job


def test_progress_says_how_far_the_whole_is_where_its_words_count_a_step():
    assert describe_stage(Stage("dlib looks at face 17 of 161", 0.7)) == "dlib looks at face 17 of 161; 70 % of all steps"
    assert describe_stage(Stage("Judging face 5 of 10", 0.5)) == "Judging face 5 of 10"
