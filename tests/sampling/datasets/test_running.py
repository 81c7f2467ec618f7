"""A data set is the same however often its making was stopped; a piece is made once; what is asked for is what is read."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import duckdb
import filelock
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.errors import Cancelled, LiminalError
from core.progress import Progress
from core.sampling.datasets.data_set import DataSet
from core.sampling.datasets.running import run_plan
from core.sampling.identity import generate_identity_set
from core.sampling.sample_set import encode_png
from core.studies.library import DataSetRegister
from tests.fakes import fake_panel
from tests.sampling.datasets.small_plan import BATCHES, PLAN, make_tiny, small_plan, tables

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The data set of an undisturbed run in this process."""
    folder = tmp_path_factory.mktemp("many") / "set"
    done = run_plan(small_plan(), folder, maker=make_tiny)
    assert done.finished
    assert done.pieces_made == BATCHES
    return folder


def test_it_holds_what_generate_makes(finished):
    plan = small_plan()
    whole = generate_identity_set(plan.identity.configuration, BATCHES, panel=fake_panel())
    made = DataSet.open(finished)
    assert made.rows("samples") == len(whole.samples)
    assert made.rows("pairs") == len(whole.pairs)
    assert made.rows("searches") == len(whole.manifest["searches"])
    samples = pd.read_parquet(finished / "samples")
    assert samples["sample_id"].tolist() == whole.samples["sample_id"].tolist()
    pairs = pd.read_parquet(finished / "pairs")
    for name in whole.pairs:
        pd.testing.assert_series_equal(pairs[name], whole.pairs[name], check_dtype=False)
    for place, (name, latent) in enumerate(whole.latents.items()):
        assert made.picture(name) == encode_png(whole.images[name])
        assert made.find_row(name) == place
        assert np.array_equal(made.latents([place])[0], latent)
    assert not (finished / "pieces").exists()
    assert not (finished / "records").exists()


def test_a_stopped_run_is_picked_up(finished, tmp_path):
    log, folder = tmp_path / "log", tmp_path / "set"
    make = partial(make_tiny, log=str(log))
    assert not run_plan(small_plan(), folder, maker=make, most=2).finished
    assert not (folder / "manifest.json").exists()
    with pytest.raises(LiminalError, match="not a finished data set"):
        DataSet.open(folder)
    assert run_plan(small_plan(), folder, maker=make).finished
    again = run_plan(small_plan(), folder, maker=make)
    assert (again.pieces_made, again.finished) == (0, True)
    assert sorted(map(int, log.read_text().split())) == list(range(BATCHES))  # each once
    assert tables(folder) == tables(finished)


KILLED = """
import sys, time
from pathlib import Path
from functools import partial
from core.sampling.datasets.running import run_plan
from tests.sampling.datasets.small_plan import make_tiny, small_plan
log = Path(sys.argv[2])
def slow(piece):
    files = make_tiny(piece, str(log))
    if piece.number == 3:
        time.sleep(600)
    return files
run_plan(small_plan(), Path(sys.argv[1]), maker=slow)
"""


def test_a_driver_that_is_killed_costs_the_piece_that_it_was_making(finished, tmp_path):
    log, folder = tmp_path / "log", tmp_path / "set"
    driver = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(log)], cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}
    )
    try:
        deadline = time.monotonic() + 120
        while not (log.exists() and "3" in log.read_text().split()):
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert len(list((folder / "pieces").iterdir())) == 3
    done = run_plan(small_plan(), folder, maker=partial(make_tiny, log=str(log)))
    assert (done.pieces_made, done.finished) == (BATCHES - 3, True)
    assert sorted(map(int, log.read_text().split())) == [0, 1, 2, 3, 3, 4, 5]  # only the one that it was making comes twice
    assert tables(folder) == tables(finished)


@pytest.mark.parametrize("left", ["pieces/.00000001.abc.partial", "samples/identity/batches=000000-000031/.part-00000.parquet.x"])
def test_what_a_killed_run_left_half_written_is_not_taken_for_whole(finished, tmp_path, left):
    folder = tmp_path / "set"
    run_plan(small_plan(), folder, maker=make_tiny, most=1)
    place = folder / left
    place.parent.mkdir(parents=True, exist_ok=True)
    if left.startswith("pieces"):
        place.mkdir()
        (place / "samples.parquet").write_bytes(b"half")
    else:
        place.write_bytes(b"half")
    run_plan(small_plan(), folder, maker=make_tiny)
    assert DataSet.open(folder).rows("pairs") == DataSet.open(finished).rows("pairs")
    assert not (folder / "pieces").exists()


def test_a_run_that_died_between_the_last_piece_and_its_part(finished, tmp_path):
    from core.sampling.datasets.storage import DataSetFolder

    folder = tmp_path / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataSetFolder, "complete_part", lambda self, part: None)
        with pytest.raises(LiminalError):
            run_plan(small_plan(), folder, maker=make_tiny)  # all pieces are there, no part is
    assert run_plan(small_plan(), folder, maker=make_tiny).finished
    assert tables(folder) == tables(finished)


def test_cancelling_keeps_what_is_finished(tmp_path):
    stop = threading.Event()

    def make(piece):
        if piece.number == 2:
            stop.set()
        return make_tiny(piece)

    with pytest.raises(Cancelled):
        run_plan(small_plan(), tmp_path / "set", Progress(None, stop), maker=make)
    assert len(list((tmp_path / "set" / "pieces").iterdir())) == 3


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/part-00000.parquet")


@pytest.mark.parametrize(
    "place", ["core.sampling.datasets.storage.DataSetFolder._put_together", "core.sampling.datasets.running.finish_data_set"]
)
def test_what_stops_the_data_set_from_being_written_is_said(finished, tmp_path, monkeypatch, place):
    folder = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(LiminalError) as told:
            run_plan(small_plan(), folder, maker=make_tiny)
    assert f"The data set {folder} cannot be written (No space left on device: /there/part-00000.parquet); what" in str(told.value)
    assert run_plan(small_plan(), folder, maker=make_tiny).finished
    assert tables(folder) == tables(finished)


def test_an_error_elsewhere_is_not_taken_for_one_of_the_folder(tmp_path):
    def make(piece):
        if piece.number == 2:
            (tmp_path / "weights").read_bytes()
        return make_tiny(piece)

    with pytest.raises(LiminalError) as told:
        run_plan(small_plan(), tmp_path / "set", maker=make)
    assert "cannot be written" not in str(told.value)
    assert f"(No such file or directory: {tmp_path / 'weights'}); what is finished is kept" in str(told.value)
    (tmp_path / "weights").touch()
    assert run_plan(small_plan(), tmp_path / "set", maker=make).pieces_made == BATCHES - 2


def test_one_run_at_a_time(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    with filelock.FileLock(folder / ".lock"), pytest.raises(LiminalError, match="Another run"):
        run_plan(small_plan(), folder, maker=make_tiny)


def test_another_plan_and_other_threads_are_refused(tmp_path):
    folder = tmp_path / "set"
    run_plan(small_plan(), folder, maker=make_tiny, most=1)
    with pytest.raises(LiminalError, match="another plan"):
        run_plan(small_plan(seed=4), folder, maker=make_tiny)
    with pytest.raises(LiminalError, match="another plan"):
        run_plan(small_plan(), folder, maker=make_tiny, threads=2)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    with pytest.raises(LiminalError, match="holds files already"):
        run_plan(small_plan(), tmp_path / "full", maker=make_tiny)
    assert [each.name for each in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_pieces_of_another_installation_are_refused(tmp_path):
    def other(piece):
        files = dict(make_tiny(piece))
        record = json.loads(files["piece.json"])
        if piece.number == 1:
            record["same"]["versions"]["torch"] = "0.1"
        return {**files, "piece.json": json.dumps(record).encode()}

    with pytest.raises(LiminalError, match="other versions"):
        run_plan(small_plan(), tmp_path / "set", maker=other)
    assert run_plan(small_plan(), tmp_path / "set", maker=make_tiny).finished  # the first piece was kept


def test_other_programs_read_it(finished):
    import datasets

    whole = generate_identity_set(small_plan().identity.configuration, BATCHES, panel=fake_panel())
    found = duckdb.sql(f"select sample_id, image.bytes as png from '{finished}/samples/**/*.parquet'").df()
    assert set(found["sample_id"]) == set(whole.images)
    datasets.disable_progress_bars()
    for name, rows in (("identity", len(whole.samples)), ("identity_pairs", len(whole.pairs))):
        read = datasets.load_dataset(str(finished), name, split="train", streaming=True)
        assert sum(1 for _ in read) == rows
    first = next(iter(datasets.load_dataset(str(finished), "identity", split="train", streaming=True)))
    assert isinstance(first["image"], Image.Image)
    assert np.array_equal(np.asarray(first["image"]), whole.images[first["sample_id"]])
    assert np.array_equal(np.float32(first["latent"]), whole.latents[first["sample_id"]])


def test_only_the_piece_of_a_picture_is_read(finished, tmp_path):
    """Everything in the file but one piece's bytes is overwritten: that piece's pictures are still found, others are not."""
    import pyarrow.parquet as pq

    whole = generate_identity_set(small_plan().identity.configuration, BATCHES, panel=fake_panel())
    folder = tmp_path / "set"
    run_plan(small_plan(), folder, maker=make_tiny)
    path = next((folder / "samples").rglob("*.parquet"))
    meta = pq.ParquetFile(path).metadata
    group = meta.row_group(2)
    starts = [
        min(filter(None, (c.dictionary_page_offset, c.data_page_offset))) for c in map(group.column, range(group.num_columns))
    ]
    ends = [start + group.column(number).total_compressed_size for number, start in enumerate(starts)]
    content = bytearray(path.read_bytes())
    tail = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4 : min(starts)] = bytes(min(starts) - 4)
    content[max(ends) : tail] = bytes(tail - max(ends))
    path.write_bytes(content)
    made = DataSet.open(folder)
    rows = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
    names = list(whole.samples["sample_id"])
    for name in names[sum(rows[:2]) : sum(rows[:3])]:
        assert made.picture(name) == encode_png(whole.images[name])
    with pytest.raises(LiminalError, match="damaged"):
        made.picture(names[0])


def test_a_set_that_was_made_anew_in_the_same_folder_is_another_one(tmp_path):
    folder, known = tmp_path / "set", DataSetRegister(tmp_path / "register")
    for seed in (3, 4):
        run_plan(small_plan(seed=seed, identity={**PLAN["identity"], "batches": 1}), folder, maker=make_tiny)
        set_id = known.add(folder)
        made, samples = known.open(set_id), pd.read_parquet(folder / "samples")
        assert Image.open(io.BytesIO(made.picture(samples["sample_id"][1]))).size
        assert np.array_equal(made.latents([1])[0], samples["latent"][1])
        assert [each.set_id for each in known.entries()] == [set_id]
        shutil.rmtree(folder)


def test_pictures_and_places_that_are_not_there(finished):
    made = DataSet.open(finished)
    with pytest.raises(LiminalError, match="holds no picture"):
        made.picture("0" * 20)
    assert made.find_row("f" * 20) is None
