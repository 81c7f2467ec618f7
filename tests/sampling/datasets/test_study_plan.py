"""A plan's file: what it may say, what it asks for, and one sentence for whatever is wrong with it."""

import json
from collections import Counter

import pytest

from core.errors import LiminalError
from core.sampling.datasets import plan
from core.sampling.datasets.plan import parse_plan, read_plan
from core.sampling.emotion.configuration import EMOTION_PAIRS, GROUP_SIZE
from core.sampling.identity import generate_identity_batch
from core.sampling.stored.gallery import load_gallery
from tests.fakes import fake_panel

WRONG = [
    ({}, "asks for nothing"),
    ({"identity": {}, "colour": 1}, "'colour' is nothing that a plan can hold"),
    ({"identity": {"colour": 1}}, "'colour' is nothing that the plan's part 'identity' can hold"),
    ({"identity": {"seed": 1}}, "'seed' is nothing that the plan's part"),
    ({"identity": {"batches": 0}}, "'batches' must be a whole number"),
    ({"identity": {"batches": 1, "bases": "gallery"}}, "both 'batches' and 'bases'"),
    ({"identity": {"bases": ["nobody"]}}, "holds no base 'nobody'"),
    ({"identity": {"types": ["blue"]}}, "no type 'blue'"),
    ({"identity": {"types": ["positive"], "targets": [0.3]}}, "'targets' but not for the type 'optimized'"),
    ({"identity": {"judges": ["nobody"]}}, "no recogniser called 'nobody'"),
    ({"identity": {"sigma": "wide"}}, "'sigma' must be a number"),
    ({"identity": 3}, "asks for nothing"),
    ({"identity": {}, "emotion": 3}, "'emotion' must be a part"),
    ({"emotion": {"pairs": []}}, "'pairs' must be"),
    ({"emotion": {"pairs": [["fear"]]}}, "'pairs' must be"),
    ({"emotion": {"pairs": [["fear", "hope"]]}}, "no emotion 'hope'"),
    ({"emotion": {"types": "guided"}}, "'types' must be a list"),
    ({"emotion": {"guidance": "strong"}}, "no guidance 'strong'"),
    ({"emotion": {"judges": ["nobody"]}}, "no classifier called 'nobody'"),
    ({"emotion": {}, "piece": 6}, "must be a multiple of 4"),
    ({"emotion": {}, "seed": -1}, "'seed' must be a whole number"),
    ({"emotion": {}, "title": 4}, "'title' must be a text"),
    ({"emotion": {}, "generator": "none"}, "no generator called 'none'"),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_what_is_wrong_is_said_in_one_sentence(values, said):
    with pytest.raises(LiminalError, match=said) as error:
        parse_plan(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("plan.toml", b"[identity\nbatches = 2", "not valid TOML"),
        ("plan.json", b"{", "not valid JSON"),
        ("plan.json", b"[1, 2]", "must hold names and values"),
        ("plan.toml", b"\xff\xfe\x00", "it is no text"),
        ("gone.toml", None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_plan(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LiminalError, match=said):
        read_plan(tmp_path / name)


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "a.toml").write_text('seed = 5\n[identity]\nbatches = 2\ntypes = ["positive"]\n')
    (tmp_path / "a.json").write_text(json.dumps({"seed": 5, "identity": {"batches": 2, "types": ["positive"]}}))
    one, two = read_plan(tmp_path / "a.toml"), read_plan(tmp_path / "a.json")
    assert one == two
    assert one.plan_id == two.plan_id != parse_plan({"seed": 6, "identity": {"batches": 2, "types": ["positive"]}}).plan_id


def test_the_example_in_the_documentation_is_a_plan(tmp_path):
    lines = [line.removeprefix("    ") for line in plan.__doc__.splitlines()[1:]]
    (tmp_path / "plan.toml").write_text("\n".join(lines))
    made = read_plan(tmp_path / "plan.toml")
    assert made.identity.batches == 250
    assert made.emotion.types == ("guided", "unguided")


def test_every_base_of_the_gallery_meets_every_pair_and_type_once():
    made = parse_plan({"emotion": {"bases": "gallery", "count": 10, "types": ["guided", "unguided"]}, "piece": 8})
    bases = [base.base_id for base in load_gallery(made.emotion.configuration.generator).bases]
    rows = Counter()
    for piece in made.pieces():
        c = piece.configuration
        rows[c.emotion1, c.emotion2, c.base, c.guided] += piece.sample_count
        assert piece.first % GROUP_SIZE == 0
    assert rows == {(*pair, base, kind): 10 for pair in EMOTION_PAIRS for base in bases for kind in (True, False)}
    owners = Counter(piece.configuration.base for piece in made.pieces() if piece.owns_bases)
    assert owners == dict.fromkeys(bases, 1)  # a base's picture is kept once
    seeds = {
        (piece.configuration.emotion1, piece.configuration.emotion2, piece.configuration.base): piece.configuration.seed
        for piece in made.pieces()
    }
    assert len(set(seeds.values())) == len(seeds)  # no two of them draw the same noise


def test_identity_batches_share_the_gallery_out_evenly():
    made = parse_plan({"identity": {"bases": "gallery", "bases_per_batch": 7}})
    bases = [base.base_id for base in load_gallery(made.identity.configuration.generator).bases]
    batches = [piece.bases for piece in made.pieces()]
    assert [base for batch in batches for base in batch] == bases
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
    assert min(map(len, batches)) >= 7


def test_many_images_of_a_pair_are_cut_into_sets_of_ten_thousand():
    made = parse_plan({"emotion": {"pairs": [["fear", "surprise"]], "count": 25_000}, "piece": 5000})
    pieces = made.pieces()
    assert [piece.sample_count for piece in pieces] == [5000] * 5
    assert [piece.images for piece in pieces] == [10_000] * 5
    assert len({piece.configuration.seed for piece in pieces}) == 3
    assert [piece.number for piece in pieces] == list(range(5))


def test_counting_the_images_of_many_pieces_reads_no_file_for_each(monkeypatch):
    read = []
    usual = plan.find_directions
    monkeypatch.setattr(plan, "find_directions", lambda generator: read.append(1) or usual(generator))
    pieces = parse_plan({"identity": {"batches": 100, "types": ["semantic"]}}).pieces()
    assert len({piece.images for piece in pieces}) == 1
    assert pieces[0].images > 4
    assert len(read) <= 1


@pytest.mark.parametrize("types", [["positive"], ["interpolation", "optimized"], ["positive", "interpolation", "optimized"]])
def test_a_batch_has_as_many_images_and_pairs_as_foretold(types):
    made = parse_plan(
        {
            "identity": {"types": types, "bases_per_batch": 3, "iterations": 1, "interpolation_steps": [0.3]}
            if "interpolation" in types
            else {"types": types, "bases_per_batch": 3, "iterations": 1}
        }
    )
    piece = made.pieces()[0]
    found = generate_identity_batch(piece.configuration, 0, panel=fake_panel())
    assert len(found.pairs) == piece.pairs
    assert len(found.images) <= piece.images
    assert set(found.pairs["sample_type"]) == {"genuine", "negative", *types}
