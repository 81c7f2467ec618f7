"""Whatever can be photographed or saved alone says that its answers are simulated: tiles, dialogs, tables, legends, the report."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from core.analysis.study_data import load_study_data
from core.figures.contents import choose_default_view
from core.figures.report import build_chapters
from core.figures.report_gallery import PictureReader, build_galleries
from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from tests.ui.visits import app, words
from ui.analysis.figure_card import encode_csv

pytestmark = pytest.mark.usefixtures("idle")
MARK = "simulated: nobody was asked"


@pytest.fixture
def studies(place):
    """A simulated study of each kind, with answers: kind -> name of one of its stimuli."""
    store, library = place
    stimuli = {}
    for kind, made in (("identity", identity_set(6)), ("emotion", faces(8))):
        study = made_study(store, library, kind, made, source="simulated")
        checks = {each.stimulus: each.expected for each in store.stimuli(kind) if each.is_sentinel}
        values = ("0", "1") if kind == "identity" else ("fear", "surprise")
        for number in range(6):

            def choose(name, number=number, checks=checks, values=values):
                return checks.get(name, values[(int(name[:6], 16) + number) % 2])

            answer_all(store, study, choose, source="simulated")
        stimuli[kind] = next(each.stimulus for each in store.stimuli(kind) if not each.is_sentinel)
    return stimuli


def _components(test):
    return " ".join(each.proto.json for each in test.get("bidi_component"))


@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_a_ranking_its_dialog_and_its_votes(studies, kind):
    test = app("disagreement.py", study=kind, item=studies[kind])
    assert MARK in words(test)
    assert "Simulated observers" in words(test)
    assert "People" not in [each.value for each in test.subheader]
    assert set(test.dataframe[0].value["From"]) == {"simulated"}
    tiles = next(json.loads(each.proto.json)["tiles"] for each in test.get("bidi_component") if "tiles" in each.proto.json)
    assert all("simulated" in " ".join(tile["words"]) for tile in tiles)


@pytest.mark.parametrize("source", ["simulated", "human"])
def test_the_dialog_of_you(source):
    def page(source):
        import numpy as np

        from ui.alignment import you_page

        you_page._show_face_dialog("/faces/x.webp", np.full(6, 1 / 6), np.full(6, 1 / 6), source)

    test = AppTest.from_function(page, args=(source,), default_timeout=60).run()
    assert not test.exception
    assert (MARK in words(test)) == (source == "simulated")
    assert ("What most simulated observers would say" in words(test)) == (source == "simulated")


@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_the_map_its_legend_and_its_dialog(studies, place, kind):
    _, library = place
    study = load_study_data(place[0], library, kind)
    face = str(study.samples["sample_id"].iloc[-1])
    colour = "People: the same person" if kind == "identity" else "People: most chosen"
    test = app("map.py", study=kind, colour=colour, item=face)
    assert f"Simulated observers:{colour.partition(':')[2]}" in _components(test)
    from core.analysis.selection import pack_selection

    test = app("map.py", study=kind, colour=colour, item=face, selection=pack_selection([face]))
    assert MARK in words(test)
    assert "<span>People:" not in words(test)


@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_the_study_s_own_page_and_its_tables(studies, kind):
    test = app("studies.py", study=kind, stimulus=studies[kind])
    assert MARK in words(test)
    assert " of 6 simulated" in _components(test)
    for table in test.dataframe:
        assert set(table.value["From"]) == {"simulated"}


@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_the_report_s_pictures_and_every_saved_table(studies, place, kind):
    store, library = place
    study = load_study_data(store, library, kind)
    galleries = build_galleries(study, choose_default_view(study), PictureReader(study, library))
    assert galleries
    for gallery in galleries:
        assert "people" not in gallery.title.lower()
        assert all("simulated observers" in " ".join(item.words) for item in gallery.items)
    for chapter in build_chapters(study):
        for exhibit in chapter.exhibits:
            if "simulated" in exhibit.source:
                assert "SIMULATED" in str(exhibit.figure.layout.title.text)
                assert "simulated" in encode_csv(exhibit.saved_table).decode("utf-8-sig") or not len(exhibit.data)
