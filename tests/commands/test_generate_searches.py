"""Strangers who get in and changes that lock out, with tiny models whose answers can be written down."""

import csv
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.models import registry
from core.sampling.stored import gallery
from core.sampling.stored.directions import Direction
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.population import Population, load_thresholds
from tests.commands.test_generate import failed_with_one_line
from tests.fakes import LATENT_DIM, SCALE, FakeGenerator, FakePerceptual, FakeRecogniser

THRESHOLD = 0.5
OWNER = 7


@pytest.fixture(autouse=True)
def tiny_models(monkeypatch):
    """A generator, two recognisers of which the second is stricter, and thirty strangers that both have judged."""
    generator = FakeGenerator()
    models = {"dcgan": generator, "dlib": FakeRecogniser("dlib"), "sface": FakeRecogniser("sface", threshold=0.1)}
    monkeypatch.setattr(registry, "load", lambda name, kind: models.get(name) or FakePerceptual())
    monkeypatch.setattr(registry, "list_usable", lambda kind, first=None: [first, *({"dlib", "sface"} - {first})])
    seeds = np.arange(30)
    people = generator.sample(seeds.tolist()).numpy()
    population = Population("dcgan", seeds, {"dlib": people, "sface": people}, (), "", "")
    monkeypatch.setattr("core.commands.generate_searches.load_population", lambda generator, judged_by: population)
    directions = [Direction(name, f"more {name}", f"less {name}", vector, 1.0, True, {}) for name, vector in planted_directions()]
    monkeypatch.setattr("core.sampling.lockout.find_directions", lambda *_, **__: directions)
    return models


def planted_directions():
    """Both are unit vectors: a step of s paper units moves a face by s sqrt(d)."""
    return [(name, np.eye(LATENT_DIM, dtype=np.float32)[axis]) for axis, name in enumerate(("hat", "beard"))]


def generate(kind, out, *more):
    return main(["generate", kind, "--seed", str(OWNER), "--generator", "dcgan", "--out", str(out), *more])


def owner():
    return FakeGenerator().sample([OWNER]).numpy()[0]


def test_impostors_are_what_the_latents_say(tmp_path, capsys):
    out = tmp_path / "out"
    assert generate("impostor", out, "--threshold", str(THRESHOLD), "--searches", "3", "--iterations", "60") == 0
    printed = capsys.readouterr()
    record = json.loads((out / "result.json").read_text())
    assert (record["kind"], record["seed"], record["base"], record["threshold"]) == ("impostor", OWNER, None, THRESHOLD)
    assert set(record["models"]) == {"fake-generator", "dlib", "sface"}
    rows = record["results"]
    assert len(rows) == 3
    latents = np.load(out / "latents.npz")
    for number, row in enumerate(rows, 1):
        distance = SCALE * np.square(latents[f"impostor-{number}"] - owner()).sum()
        assert row["distance_dlib"] == pytest.approx(distance, abs=0.03)  # judged on eight bits a pixel
        assert row["accepted_dlib"] == (row["distance_dlib"] < THRESHOLD)
        assert row["accepted_sface"] == (row["distance_sface"] < 0.1)  # the other one at its own threshold
        assert Image.open(out / row["image"]).size == Image.open(out / row["start"]).size == (4, 4)
    accepted = sum(row["accepted_dlib"] for row in rows)
    assert accepted >= 2
    assert f"{accepted} of 3 searches got in at 0.5" in printed.out
    assert [row["accepted_dlib"] for row in rows] == sorted((row["accepted_dlib"] for row in rows), reverse=True)
    with (out / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["image"] for row in table] == [row["image"] for row in rows]
    assert [int(row["start_seed"]) for row in table] == [row["start_seed"] for row in rows]
    assert "100 %  Done" in printed.err


def test_the_same_seed_finds_the_same(tmp_path):
    for name in ("one", "two"):
        assert generate("impostor", tmp_path / name, "--iterations", "3") == 0
        assert generate("lockout", tmp_path / f"{name}-lockout") == 0
    for path in tmp_path.glob("one*/*"):
        assert (tmp_path / path.parent.name.replace("one", "two") / path.name).read_bytes() == path.read_bytes()


def test_the_smallest_lockout_is_where_the_distance_reaches_the_threshold(tmp_path, capsys):
    out = tmp_path / "out"
    assert generate("lockout", out, "--threshold", "0.1") == 0
    smallest = json.loads((out / "result.json").read_text())["smallest"]
    expected = np.sqrt(0.1 / SCALE / LATENT_DIM)
    assert smallest["step"] == pytest.approx(expected, abs=0.03)
    assert smallest["accepted_dlib"] is False
    assert smallest["change"] in {"hat+", "hat-", "beard+", "beard-"}
    moved = np.load(out / "latents.npz")["lockout"] - owner()
    assert np.linalg.norm(moved) == pytest.approx(smallest["step"] * np.sqrt(LATENT_DIM), rel=1e-4)
    with (out / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert all((float(row["distance"]) < 0.1) == (row["accepted"] == "True") for row in table)
    printed = capsys.readouterr().out
    assert "The least of 4 changes that locks out at 0.1" in printed
    assert "dlib refuses it" in printed.lower()
    assert (out / "lockout.png").is_file()


def test_no_lockout_is_a_result(tmp_path, capsys):
    assert generate("lockout", tmp_path / "out", "--threshold", "100") == 0
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["smallest"] is None
    assert "None of 4 changes" in capsys.readouterr().out
    assert not (tmp_path / "out" / "lockout.png").exists()


def test_a_base_of_the_gallery_is_the_owner(tmp_path, monkeypatch):
    base = load_gallery("dcgan").bases[3]
    planted = gallery.GalleryBase(base.base_id, base.title, 0, 0, owner(), base.image, {})
    monkeypatch.setattr("core.commands.generate_searches.find_gallery_base", lambda generator, base_id: planted)
    options = ["--generator", "dcgan", "--out", str(tmp_path / "out")]
    assert main(["generate", "lockout", "--base", base.base_id, *options]) == 0
    assert json.loads((tmp_path / "out" / "result.json").read_text())["base"] == base.base_id
    assert np.array_equal(np.load(tmp_path / "out" / "latents.npz")["owner"], owner())


def test_an_owner_without_a_face_is_refused(tmp_path, capsys, tiny_models):
    tiny_models["dlib"].face_until = -100.0
    for kind in ("impostor", "lockout"):
        assert generate(kind, tmp_path / "out") == 2
        failed_with_one_line(capsys, "finds no face")
    assert list(tmp_path.iterdir()) == []


def test_master_faces_are_written_with_honest_shares(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("core.sampling.gain_search.TRIAL_GENERATIONS", 3)
    out = tmp_path / "out"
    options = ["--generator", "dcgan", "--threshold", "2.2", "--faces", "2"]
    assert main(["generate", "master", *options, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    record = json.loads((out / "result.json").read_text())
    rows = record["results"]
    assert (record["kind"], record["threshold"]) == ("master", 2.2)
    assert rows[-1]["owners"] == 15, "every second person was not picked by"
    assert all(row["low"] <= row["opened_together"] <= row["high"] for row in rows)
    assert len(record["seeds_of_strangers"]) == record["strangers_together"]["faces"]
    assert Image.open(out / "master-1.png").size == (4, 4)
    assert "15 owners who had no part in the search" in printed.out
    assert "slow" in printed.err, "nothing predicts this recogniser"


ABSURD = [
    (["master", "--faces", "0"], "--faces"),
    (["master", "--threshold", "-1"], "--threshold"),
    (["impostor", "--seed", "1", "--base", "a"], "--base"),
    (["impostor"], "--seed"),
    (["lockout", "--seed", "-1"], "--seed"),
    (["lockout", "--base", "nobody"], load_gallery("dcgan").bases[0].base_id),
    (["lockout", "--seed", "1", "--threshold", "nan"], "--threshold"),
    (["lockout", "--seed", "1", "--threshold", "0"], "--threshold"),
    (["impostor", "--seed", "1", "--searches", "0"], "--searches"),
    (["impostor", "--seed", "1", "--iterations", "0"], "--iterations"),
    (["impostor", "--seed", "1", "--recogniser", "mother"], "mother"),
    (["lockout", "--seed", "1", "--generator", "stylegan9"], "stylegan9"),
]


@pytest.mark.parametrize(("arguments", "word"), ABSURD)
def test_absurd_arguments_get_one_line(tmp_path, capsys, arguments, word):
    defaults = [] if "--generator" in arguments else ["--generator", "dcgan"]
    assert main(["generate", *arguments, *defaults, "--out", str(tmp_path / "out")]) == 2
    failed_with_one_line(capsys, word)
    assert list(tmp_path.iterdir()) == []


def test_absurd_arguments_are_refused_before_torch_is_imported(tmp_path):
    out = ["--generator", "dcgan", "--out", str(tmp_path / "out")]
    script = f"""
import sys
from types import SimpleNamespace
from core.__main__ import main
for arguments in {[words for words, _ in ABSURD]!r}:
    assert main(["generate", *arguments[:1], *{out!r}, *arguments[1:]]) == 2
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("kind", ["impostor", "lockout"])
@pytest.mark.parametrize("place", ["search", "saving"])
def test_ctrl_c_leaves_nothing(tmp_path, capsys, monkeypatch, kind, place):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    search = "core.sampling.impostor.search_descriptor" if kind == "impostor" else "core.sampling.lockout.find_smallest_lockout"
    monkeypatch.setattr(search if place == "search" else "core.commands.generate_searches.encode_png", interrupt)
    assert generate(kind, tmp_path / "out", *(["--iterations", "2"] if kind == "impostor" else [])) == 130
    failed_with_one_line(capsys, "Ctrl-C")
    assert list(tmp_path.iterdir()) == []


def test_an_occupied_folder_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    (tmp_path / "precious.txt").write_text("mine")
    monkeypatch.setattr(registry, "load", lambda *_: pytest.fail("worked in vain"))
    for kind in ("impostor", "lockout"):
        assert generate(kind, tmp_path) == 2
        failed_with_one_line(capsys, "holds files already")


def test_pairs_on_which_recognisers_part_become_a_set_to_ask_about(tmp_path, capsys, monkeypatch):
    """What is made and saved is tested with the search; here: the limits of the pages, the summary, what makes no sense."""
    asked = {}

    def make(configuration, population, limits, **options):
        asked.update(options, limits=limits, judges=configuration.judges)
        pairs = [{"pair_id": "a", "says_same": "sface", "margin": 0.31}, {"pair_id": "b", "says_same": "dlib", "margin": None}]
        found = {"limits": limits, "margin": options["margin"], "kept": 1, "pairs": pairs}
        return SimpleNamespace(manifest={"controversial": found}, save=lambda folder: folder.mkdir())

    monkeypatch.setattr("core.sampling.controversial_pairs.generate_controversial_pairs", make)
    monkeypatch.setattr("core.commands.generate_searches.load_population", lambda generator: None)
    assert main(["generate", "controversial", "--generator", "dcgan", "--count", "2", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert asked["limits"] == {name: load_thresholds("dcgan", name).opening for name in ("dlib", "sface")}
    assert (asked["count"], asked["judges"]) == (2, ("dlib", "sface"))
    assert "1 of 2 pairs part" in printed
    assert "SFace says the same person, margin 31 %" in printed
    assert "study make --set" in printed


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["controversial", "--recognisers", "dlib", "dlib"], "--recognisers"),
        (["controversial", "--count", "65"], "--count"),
        (["controversial", "--margin", "2"], "--margin"),
        (["controversial", "--limits", "0.4", "-1"], "--limits"),
        (["morphs", "--pairs", "0"], "--pairs"),
        (["morphs", "--steps", "0.3", "0.5"], "--steps"),
        (["morphs", "--recogniser", "mother"], "mother"),
    ],
)
def test_absurd_searches_for_two_get_one_line(tmp_path, capsys, arguments, word):
    assert main(["generate", *arguments, "--out", str(tmp_path / "out")]) == 2
    failed_with_one_line(capsys, word)
    assert list(tmp_path.iterdir()) == []
