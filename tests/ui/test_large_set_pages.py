"""Large data sets on the pages Map and Disagreement: a part at a time, by the address, for owners only."""

import json

import pytest

from benchmarks.many import build_synthetic_data_set
from core.models.emotions import EMOTIONS
from core.sampling.datasets.data_set import DataSet
from core.sampling.sample_set import SELECTED_KEY, load_tables
from core.studies.library import Library
from core.studies.ratings import Rating
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study
from tests.queries import rows_read
from tests.ui.visits import app, paints_without_torch, words
from ui.analysis import map_faces
from ui.studies import owner_gate

pytestmark = pytest.mark.usefixtures("idle")
ROWS = 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("large-pages") / "set"
    build_synthetic_data_set(place, ROWS, seed=2)
    return place


@pytest.fixture
def set_id(place, folder):
    return Library().data_sets.add(folder)


def component(test, name):
    return next(json.loads(each.proto.json) for each in test.get("bidi_component") if each.proto.component_name.endswith(name))


def test_the_map_shows_one_part_and_reads_no_other(set_id, folder, monkeypatch):
    asked = rows_read(monkeypatch)
    test = app("map.py", faces="Faces of a large data set", data=set_id, **{"part-of-map": "3"})
    said = words(test)
    assert "Faces 4,001 to 5,000 of 5,000 faces; only these are read." in said
    shown = component(test, "face_map")
    assert shown["count"] == 1000
    assert shown["sets"] == [set_id]
    assert max(asked) <= map_faces.MAX_TOGETHER
    (sums,) = test.dataframe
    assert sums.value["Faces"].sum() == ROWS


def test_axes_are_the_same_from_part_to_part(set_id):
    from ui.analysis import map_faces

    shown = [app("map.py", faces="Faces of a large data set", data=set_id, **{"part-of-map": part}) for part in "12"]
    assert len({component(test, "face_map")["url"] for test in shown}) == 2
    maps = [made for made in map_faces._map_cache().values() if len(made.vectors) == map_faces.MAX_TOGETHER]
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
    assert "No person's answer is in it" in words(test)


def test_one_face_of_the_ranking_by_its_address(set_id, folder):
    name = DataSet.open(folder).query("select sample_id from samples_emotion where place = 17")["sample_id"][0]
    test = app("disagreement.py", of="large", data=set_id, item=name)
    assert f"/sets/{set_id}/images/{name}" in words(test)


def test_visitors_see_no_data_set_of_the_owner(set_id, monkeypatch):
    monkeypatch.setattr(owner_gate, "is_allowed", lambda: False)
    for page in ("map.py", "disagreement.py"):
        test = app(page, of="large", faces="Faces of a large data set", data=set_id)
        assert "5,000" not in words(test)


def test_the_ranking_paints_without_torch(set_id, place):
    paints_without_torch(
        "disagreement.py", "from ui.studies import owner_gate; owner_gate._is_local = lambda: True", of="large", data=set_id
    )


def test_planted_answers_are_ranked_beside_the_models(set_id, folder):
    """Eight people say of one face what its network thinks least likely, and of eleven others what it thinks."""
    data = DataSet.open(folder)
    rows = data.query("select * from samples_emotion where place % 400 = 7 order by place limit 12").set_index("sample_id")
    likely = rows[[f"p_{emotion}" for emotion in EMOTIONS]].to_numpy()
    said = {name: EMOTIONS[place] for name, place in zip(rows.index, likely.argmax(axis=1), strict=True)}
    odd = rows.index[3]
    said[odd] = EMOTIONS[int(likely[3].argmin())]
    store = Store()
    stimuli = [Stimulus(name, (name,), "boundary", str(rows.loc[name, "base_id"])) for name in rows.index]
    study = store.create(Study("Some faces", RatingPlan("emotion", trials=12)), stimuli)
    for _ in range(8):
        person = store.enrol(study.name, lambda study, stimuli, *_: [each.stimulus for each in stimuli])
        store.save(
            [Rating(study.name, person.rater, name, "emotion", said[name], trial=place) for place, name in enumerate(person.trials)]
        )
    test = app("disagreement.py", of="large", data=set_id, by="people")
    tiles = component(test, "ranking")["tiles"]
    assert len(tiles) == 12
    assert tiles[0]["id"] == odd
    assert f"people: {said[odd]}, 8 of 8" in tiles[0]["words"]
    assert tiles[0]["low"] is not None
    assert tiles[0]["pictures"] == [f"/sets/{set_id}/images/{odd}"]
    assert "96 answers by 8 people" in words(test)
    assert "Some faces" in words(test) or any("Some faces" in str(each.options) for each in test.selectbox)
    opened = app("disagreement.py", of="large", data=set_id, by="people", item=odd)
    assert "8 of 8 votes" in words(opened)
    assert "two models" not in words(test).lower()
    models = app("disagreement.py", of="large", data=set_id)
    assert "5,000 faces are ranked" in words(models), "the models' own ranking is a press away"


def test_the_first_of_a_ranking_become_a_set_that_a_study_is_made_of(set_id):
    test = app("disagreement.py", of="large", data=set_id)
    first = [tile["id"] for tile in component(test, "ranking")["tiles"]][:5]
    (count,) = test.number_input
    count.set_value(5)
    next(each for each in test.button if each.label == "Go on to a new study").click()
    test.run()
    assert not test.exception
    (entry,) = [each for each in Library().sets() if not each.demonstration]
    assert entry.title == "Made-up numbers: the first 5 of a ranking"
    _, samples, _, manifest = load_tables(entry.folder)
    assert manifest[SELECTED_KEY] == first
    assert set(first) <= set(samples["sample_id"])
    assert test.multiselect(key="sets").value == [entry.set_id]
