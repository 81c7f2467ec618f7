"""A data set of 5,000 made-up rows: pages and sums are those of the whole table, and only what is asked is read."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.many import build_synthetic_data_set, time_page_queries
from core.analysis import large
from core.analysis.choices import jensen_shannon_divergence
from core.analysis.encode import select_probabilities
from core.analysis.study_data import collect_latents
from core.errors import LiminalError
from core.sampling.datasets import data_set
from core.sampling.datasets.data_set import DataSet
from core.sampling.datasets.running import run_plan
from core.studies.library import DataSetRegister, Library
from tests.queries import rows_read
from tests.sampling.datasets.small_plan import make_tiny, small_plan

ROWS = 5000
ALL = large.RowFilter("emotion")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("large") / "set"
    build_synthetic_data_set(place, ROWS, seed=4)
    return place


@pytest.fixture(scope="module")
def data(folder):
    return DataSet.open(folder)


@pytest.fixture(scope="module")
def table(folder):
    """All rows, read without the index."""
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("samples/**/*.parquet"))], ignore_index=True)


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    place = tmp_path_factory.mktemp("large-identity") / "set"
    run_plan(small_plan(), place, maker=make_tiny)
    return DataSet.open(place)


def without_pictures(table):
    shown = [name for name in table if name not in ("image", "latent") and not name.startswith(large.HIDDEN_PREFIXES)]
    return table[shown].reset_index(drop=True)


def test_a_page_is_that_part_of_the_table(data, table):
    assert large.count_rows(data, ALL) == data.rows("samples") == ROWS
    for first in (0, 1234, ROWS - 100):
        page = large.load_faces(data, ALL, first, 200)
        assert page["place"].tolist() == list(range(first, min(first + 200, ROWS)))
        expected = without_pictures(table[first : first + 200])
        pd.testing.assert_frame_equal(page[expected.columns], expected, check_dtype=False)


def test_a_narrowed_page(data, table):
    pair = (table["emotion1"][0], table["emotion2"][0])
    narrowed = large.RowFilter("emotion", ("genuine",), (pair,))
    wanted = table[(table["sample_type"] == "genuine") & (table["emotion1"] == pair[0]) & (table["emotion2"] == pair[1])]
    assert large.count_rows(data, narrowed) == len(wanted)
    assert large.load_faces(data, narrowed, 3, 5)["sample_id"].tolist() == wanted["sample_id"].tolist()[3:8]
    nothing = large.RowFilter("emotion", ("morph",))
    assert large.load_faces(data, nothing, 0, 5).empty
    assert large.list_types_and_pairs(data, "emotion")[0] == ["boundary", "genuine"]


def test_narrowing_never_runs_what_somebody_wrote(data):
    assert large.count_rows(data, large.RowFilter("emotion", ("x') or true --",))) == 0


def test_a_ranking_is_the_divergence_of_both_classifiers(data, table):
    steerer, judge, *_ = large.list_models(data, "emotion")
    p, q = select_probabilities(table, steerer, steerer), select_probabilities(table, judge, steerer)
    score = jensen_shannon_divergence(p, q)
    order = np.argsort(-score, kind="stable")
    for first, known in ((0, None), (2000, ROWS), (2600, ROWS), (4990, ROWS), (4990, None)):
        page = large.rank_rows(data, ALL, large.ModelPair("emotion", steerer, judge), first, 18, of=known)
        np.testing.assert_allclose(page["score"], score[order[first : first + 18]], atol=1e-12)
        assert page["place"].tolist() == order[first : first + 18].tolist()
        emotions = np.array(["surprise", "fear", "disgust", "happiness", "sadness", "anger"])
        assert page["said"].tolist() == emotions[p[order[first : first + 18]].argmax(axis=1)].tolist()
        assert page["said_other"].tolist() == emotions[q[order[first : first + 18]].argmax(axis=1)].tolist()
    assert large.count_rankable(data, ALL, large.ModelPair("emotion", steerer, judge)) == ROWS
    with pytest.raises(LiminalError, match="'nobody' did not judge"):
        large.rank_rows(data, ALL, large.ModelPair("emotion", steerer, "nobody"), 0, 1)


def test_sums_are_those_of_the_table(data, table):
    found = large.summarise_types(data, ALL).set_index("sample_type")
    for kind, rows in table.groupby("sample_type"):
        assert found.loc[kind, "faces"] == len(rows)
        assert found.loc[kind, "passed_emotion-mlp"] == pytest.approx(rows["passed_filter"].mean())
        assert found.loc[kind, "passed_small-cnn"] == pytest.approx(rows["passed_small-cnn"].mean())


def test_pairs_of_two_recognisers(identity, monkeypatch):
    pairs = identity.query("select * from pairs order by place")
    pairs["distance_b"] = pairs["distance_fake"][::-1].to_numpy()  # a second recogniser, with opinions of its own
    pairs["accepted_b"] = pairs["distance_b"] < 0.5
    usual = DataSet.query

    def query(self, sql, values=(), **tables):
        return usual(self, sql.replace("from pairs", "from judged"), values, **tables, judged=pairs)

    monkeypatch.setattr(DataSet, "query", query)
    monkeypatch.setattr(DataSet, "columns", lambda self, table: list(pairs))
    monkeypatch.setattr(DataSet, "thresholds", lambda self, kind: {"fake": 0.6, "b": 0.5})
    rivals = large.ModelPair("identity", "fake", "b")
    score = (pairs["distance_fake"] / 0.6 - pairs["distance_b"] / 0.5).to_numpy()
    for lowest in (False, True):
        page = large.rank_rows(identity, large.RowFilter("identity"), rivals, 2, 7, lowest=lowest)
        order = np.argsort(score if lowest else -score, kind="stable")
        assert page["stimulus"].tolist() == pairs["pair_id"].to_numpy()[order[2:9]].tolist()
    found = large.summarise_types(identity, large.RowFilter("identity", ("positive",)))
    positive = pairs[pairs["sample_type"] == "positive"]
    assert found["pairs"].tolist() == [len(positive)]
    assert found["distance_fake"][0] == pytest.approx(positive["distance_fake"].mean())


def test_pairs_and_one_item_of_a_page(identity):
    page = large.load_faces(identity, large.RowFilter("identity"), 10, 20)
    pairs = large.load_pairs(identity, page)
    every = identity.query("select * from pairs order by place")
    assert pairs["pair_id"].tolist() == every[every["sample_id"].isin(page["sample_id"])]["pair_id"].tolist()
    assert large.load_row(identity, "identity", every["pair_id"][5])["sample_id"] == every["sample_id"][5]
    assert large.load_row(identity, "identity", "nobody") is None


def test_one_face(data, table):
    found = large.load_row(data, "emotion", table["sample_id"][777])
    assert found["sample_id"] == table["sample_id"][777]
    assert found["p_fear"] == table["p_fear"][777]
    for wrong in ("0" * 20, "", "zzz", "-1", "x" * 20, "0" * 19 + "\u0661"):
        assert large.load_row(data, "emotion", wrong) is None
        with pytest.raises(LiminalError, match="holds no picture"):
            data.picture(wrong)


def test_what_stands_for_the_whole_is_spread_over_it(data):
    places = large.spread_places(data, "emotion", 100)
    assert (places[0], places[-1], len(places)) == (0, ROWS - 1, 100)
    assert np.ptp(np.diff(places)) <= 1


@pytest.mark.parametrize(("memory", "sentence"), [("4MB", r"more memory than there is \(4MB"), ("512MB", "is damaged or gone")])
def test_too_little_memory_is_not_taken_for_damage(tmp_path, monkeypatch, memory, sentence):
    build_synthetic_data_set(tmp_path / "set", 500, seed=4)
    if "damaged" in sentence:
        path = tmp_path / "set" / "index" / "samples-emotion.parquet"
        path.write_bytes(path.read_bytes()[:-100])
    monkeypatch.setattr(data_set, "DUCKDB_MEMORY", memory)
    with pytest.raises(LiminalError, match=sentence):
        DataSet.open(tmp_path / "set").query("select * from samples_emotion order by p_fear")


def test_a_temporary_folder_that_cannot_be_used_is_named(folder, tmp_path, monkeypatch):
    (tmp_path / "liminal-duckdb").touch()
    monkeypatch.setattr(data_set, "DUCKDB_MEMORY", "30MB")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sorted_on_the_disk = "select count(*) as n from (select i, hash(i) as h from range(3000000) as t(i) order by h offset 5)"
    with pytest.raises(LiminalError, match=r"temporary folder .*liminal-duckdb cannot be used"):
        DataSet.open(folder).query(sorted_on_the_disk)


def test_only_the_asked_rows_are_read(tmp_path, table):
    """The parts that hold the pictures are gone: every page still comes, so that none of them reads one. A picture then fails."""
    place = tmp_path / "set"
    build_synthetic_data_set(place, ROWS, seed=4)
    for path in place.glob("samples/**/*.parquet"):
        path.unlink()
    data = DataSet.open(place)
    rivals = large.ModelPair("emotion", *large.list_models(data, "emotion")[:2])
    assert len(large.load_faces(data, ALL, 4000, 50)) == 50
    assert len(large.rank_rows(data, ALL, rivals, 0, 18)) == 18
    assert large.summarise_types(data, ALL)["faces"].sum() == ROWS
    with pytest.raises(LiminalError, match="damaged or gone"):
        data.picture(table["sample_id"][0])


def test_looking_touches_few_rows(data, monkeypatch):
    """What comes back from every query of a visit to the map and to the ranking, counted."""
    rows = rows_read(monkeypatch)
    rivals = large.ModelPair("emotion", *large.list_models(data, "emotion")[:2])
    large.load_faces(data, ALL, 1000, 100)
    large.rank_rows(data, ALL, rivals, 300, 18)
    large.summarise_types(data, ALL)
    assert rows == [100, 100, 18, 18, 2]


def test_the_library_lists_it_and_hands_out_its_pictures(data, folder, table, tmp_path):
    library = Library(tmp_path / "sets", tmp_path / "demonstration")
    assert library.data_sets.entries() == []
    set_id = library.data_sets.add(folder)
    assert library.data_sets.add(folder) == set_id
    (entry,) = library.data_sets.entries()
    assert (entry.set_id, entry.title, entry.images) == (set_id, "Made-up numbers", ROWS)
    name = table["sample_id"][4999]
    content, kind = library.picture(set_id, name)
    assert kind == "image/png"
    assert content == table["image"][4999]["bytes"]
    assert Image.open(io.BytesIO(content)).size == (4, 4)
    asked = [table["sample_id"][3], "0" * 20, name]
    latents = collect_latents(library, [set_id], asked)
    np.testing.assert_array_equal(latents[[0, 2]], np.stack([table["latent"][3], table["latent"][4999]]))
    assert np.isnan(latents[1]).all()
    assert library.sets() == []
    for bad in (f"../{set_id}", "0" * 20, ""):
        with pytest.raises(LiminalError, match="knows no data set"):
            library.data_sets.open(bad)
    library.data_sets.remove(set_id)
    assert library.data_sets.entries() == []
    assert (folder / "manifest.json").is_file()


def test_a_data_set_that_is_gone_is_left_out(tmp_path):
    build_synthetic_data_set(tmp_path / "set", 10)
    known = DataSetRegister(tmp_path / "register")
    set_id = known.add(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    assert known.entries() == []
    with pytest.raises(LiminalError, match="not where it was"):
        known.open(set_id)
    (tmp_path / "register" / f"{set_id}.json").write_text("{")
    assert known.entries() == []


def test_the_bench_asks_what_the_pages_ask(folder):
    found = time_page_queries(folder)
    assert set(found["ms"]) >= {"map: first 2,000 faces", "sums over all", "ranking: last 18", "24 pictures"}
    assert found["memory_most_mb"] > 0
