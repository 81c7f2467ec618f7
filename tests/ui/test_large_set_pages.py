"""Large data sets on the pages Map and Disagreement: a part at a time, by the address, for owners only."""

import json

import pytest

from core.commands.bench_many import made_up
from core.sampling.many.data_set import DataSet
from core.studies.library import Library
from tests.ui.visits import app, paints_without_torch, words
from ui.analysis import map_large
from ui.studies import owner_gate

pytestmark = pytest.mark.usefixtures("idle")
ROWS = 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("large-pages") / "set"
    made_up(place, ROWS, seed=2)
    return place


@pytest.fixture
def set_id(place, folder):
    return Library().data_sets.add(folder)


def component(test, name):
    return next(json.loads(each.proto.json) for each in test.get("bidi_component") if each.proto.component_name.endswith(name))


def test_the_map_shows_one_part_and_reads_no_other(set_id, folder, monkeypatch):
    asked = []
    usual = DataSet.query

    def query(self, sql, values=(), **tables):
        found = usual(self, sql, values, **tables)
        asked.append(len(found))
        return found

    monkeypatch.setattr(DataSet, "query", query)
    test = app("map.py", faces="Faces of a large data set", data=set_id, **{"part-of-map": "3"})
    said = words(test)
    assert "Faces 4,001 to 5,000 of 5,000 faces; only these are read." in said
    shown = component(test, "face_map")
    assert shown["count"] == 1000
    assert shown["sets"] == [set_id]
    assert max(asked) <= map_large.TOGETHER
    (sums,) = test.dataframe
    assert sums.value["Faces"].sum() == ROWS


def test_axes_are_the_same_from_part_to_part(set_id):
    from ui.analysis import map_places

    shown = [app("map.py", faces="Faces of a large data set", data=set_id, **{"part-of-map": part}) for part in "12"]
    assert len({component(test, "face_map")["url"] for test in shown}) == 2
    maps = [made for made in map_places._maps().values() if len(made.vectors) == map_large.TOGETHER]
    assert len({made.axes.tobytes() for made in maps}) == 1
    assert len(maps) >= 2


def test_disagreement_ranks_two_models_a_page_at_a_time(set_id):
    test = app("disagreement.py", of="large", data=set_id, **{"part-of-ranking": "2"})
    assert "5,000 faces are ranked; 19 to 36 are read." in words(test)
    tiles = component(test, "ranking")["tiles"]
    assert [tile["place"] for tile in tiles] == [f"{number}." for number in range(19, 37)]
    scores = [float(tile["score"]) for tile in tiles]
    assert scores == sorted(scores, reverse=True)
    assert all(f"/sets/{set_id}/images/{tile['id']}" == tile["pictures"][0] for tile in tiles)
    assert "Nobody was asked" in words(test)


def test_one_face_of_the_ranking_by_its_address(set_id, folder):
    name = DataSet.open(folder).query("select sample_id from samples_emotion where place = 17")["sample_id"][0]
    test = app("disagreement.py", of="large", data=set_id, item=name)
    assert f"/sets/{set_id}/images/{name}" in words(test)


def test_visitors_see_no_data_set_of_the_owner(set_id, monkeypatch):
    monkeypatch.setattr(owner_gate, "allowed", lambda: False)
    for page in ("map.py", "disagreement.py"):
        test = app(page, of="large", faces="Faces of a large data set", data=set_id)
        assert "5,000" not in words(test)


def test_the_ranking_paints_without_torch(set_id, place):
    paints_without_torch(
        "disagreement.py", "from ui.studies import owner_gate; owner_gate._local = lambda: True", of="large", data=set_id
    )
