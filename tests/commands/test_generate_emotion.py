import dataclasses
import json
import subprocess
import sys
import types

import numpy as np
import pytest
from scipy.special import softmax

from core.__main__ import main
from core.commands import generate as command
from core.data_folder import ASSETS
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import FREE, KEEP, EmotionConfiguration
from core.sampling.sample_set import SampleSet
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.reference import load_reference_set
from tests.commands.test_generate import failed_with_one_line
from tests.emotion_sets import emotion_set, unanimous


@pytest.fixture
def asked(monkeypatch):
    """The generator of samples is replaced by one that makes planted ones; what it was asked for is listed."""
    calls = []

    def generate(configuration, progress=None):
        calls.append(configuration)
        progress.stage("Done", 1.0)
        planted = [unanimous(0.4, 0.3, number % 4 > 0) for number in range(configuration.count)]
        return emotion_set(planted, configuration=configuration)

    module = types.ModuleType("core.sampling.emotion.generate")
    module.generate_emotion_set = generate
    monkeypatch.setitem(sys.modules, "core.sampling.emotion.generate", module)
    return calls


def generate(out, *more, pair=("surprise", "fear")):
    return main(["generate", "emotion", "--pair", *pair, "--out", str(out), *more])


def test_a_set_is_made_and_summed_up(tmp_path, capsys, asked):
    assert generate(tmp_path / "set", "--count", "16") == 0
    made = SampleSet.load(tmp_path / "set")
    assert made.emotion == asked[0] == EmotionConfiguration("surprise", "fear", count=16)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert "16 images between surprise and fear (guided, two-stage)" in lines[0]
    for title in ("Emotion MLP (distilled here), which steered", "mini-XCEPTION, which taught", "Small CNN, which did not steer"):
        line = next(line for line in lines if title in line)
        assert "passed 12 of 16, 75.0 % (51 to 90)" in line  # statsmodels 0.15.0: Wilson for 12 of 16 is 0.505 to 0.898
        assert "|p1 - p2| 0.10, p1 + p2 0.70" in line
    assert any("found in 16 of 16" in line for line in lines)
    assert lines[-1] == "seconds: total 1.5"
    assert printed.err == "100 %  Done\n"


def test_a_pair_in_the_other_order_is_taken_and_said(tmp_path, capsys, asked):
    assert generate(tmp_path / "set", pair=("fear", "surprise")) == 0
    assert (asked[0].emotion1, asked[0].emotion2) == ("surprise", "fear")
    notes = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("100 %")]
    assert notes == ["Note: the order of a pair does not matter; this one is stored as 'surprise, fear'."]


def test_every_option_reaches_the_configuration(tmp_path, asked):
    options = {
        "count": 3,
        "seed": 9,
        "generator": "dcgan-sharp",
        "steerer": "mini-xception",
        "recogniser": "sface",
        "strategy": "direct",
        "freedom": 0.7,
        "loss": "product",
        "gamma": 2.5,
        "resampling": 3,
        "steps": 25,
        "search_steps": 5,
    }
    words = [word for name, value in options.items() for word in ("--" + name.replace("_", "-"), str(value))]
    assert generate(tmp_path / "set", *words, "--unguided", "--no-adaptive") == 0
    judges = tuple(name for name in EmotionConfiguration.judges if name != "mini-xception")  # who steers does not judge as well
    assert asked[0] == EmotionConfiguration("surprise", "fear", guided=False, adaptive=False, judges=judges, **options)
    assert {*options, "base", "guided", "adaptive"} == set(command.EMOTION_OPTIONS)
    assert set(command.EMOTION_OPTIONS) < {field.name for field in dataclasses.fields(EmotionConfiguration)}


@pytest.mark.parametrize(("option", "freedom"), [("--keep", KEEP), ("--free", FREE)])
def test_keep_and_free(tmp_path, asked, option, freedom):
    assert generate(tmp_path / "set", option) == 0
    assert asked[0].freedom == freedom


def test_the_papers_guidance(tmp_path, asked, capsys):
    usual = EmotionConfiguration("surprise", "fear", count=2)
    assert generate(tmp_path / "one", "--guidance", "paper", "--count", "2") == 0
    assert generate(tmp_path / "two", "--guidance", "best", "--count", "2") == 0
    assert asked == [usual.with_guidance("paper"), usual]
    capsys.readouterr()
    assert generate(tmp_path / "three", "--guidance", "paper", "--gamma", "2") == 2
    failed_with_one_line(capsys, "gamma", "--guidance paper")
    assert len(asked) == 2


def test_a_base_of_the_gallery(tmp_path, asked):
    chosen = load_gallery("dcgan").bases[3]
    assert generate(tmp_path / "set", "--base", chosen.base_id, "--generator", "dcgan") == 0
    assert asked[0].base == chosen.base_id


ABSURD = [
    (["--pair", "fear", "fear"], "named twice"),
    (["--pair", "fear", "joy"], "'joy'"),
    (["--pair", "fear"], "--pair"),
    (["--count", "0"], "from 1 to 10000, not 0"),
    (["--count", "100000"], "from 1 to 10000, not 100000"),
    (["--count", "many"], "--count"),
    (["--base", "nobody"], load_gallery("dcgan").bases[0].base_id),
    (["--generator", "stylegan9"], "stylegan9"),
    (["--strategy", "guess"], "guess"),
    (["--loss", "hinge"], "hinge"),
    (["--guidance", "none"], "best or paper"),
    (["--gamma", "nan"], "gamma"),
    (["--freedom", "0"], "freedom"),
    (["--keep", "--free"], "--keep"),
    (["--resampling", "0"], "resampling"),
    (["--steps", "1"], "steps"),
    (["--seed", "-1"], "seed"),
]


@pytest.mark.parametrize(("arguments", "word"), ABSURD)
def test_absurd_arguments_get_one_line(tmp_path, capsys, asked, arguments, word):
    assert generate(tmp_path / "set", *arguments) == 2
    failed_with_one_line(capsys, word)
    assert list(tmp_path.iterdir()) == []
    assert not asked


def test_absurd_arguments_are_refused_before_torch_is_imported(tmp_path):
    script = f"""
import sys
from core.__main__ import main
for arguments in {[words for words, _ in ABSURD]!r}:
    assert main(["generate", "emotion", "--pair", "fear", "anger", "--out", {str(tmp_path / "set")!r}, *arguments]) == 2
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_occupied_folder_is_refused_before_any_work(tmp_path, capsys, asked):
    (tmp_path / "precious.txt").write_text("mine")
    assert generate(tmp_path) == 2
    failed_with_one_line(capsys, "holds files already")
    assert not asked


def test_help_names_the_emotions(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["generate", "emotion", "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for emotion in EMOTIONS:
        assert emotion in printed


@pytest.mark.skipif(
    not all((ASSETS / "weights" / f"{name}.safetensors").is_file() for name in ("face-prior", "latent-flow")),
    reason="the prior and the flow are being trained",
)
@pytest.mark.parametrize("words", [["--strategy", "direct", "--search-steps", "2"], ["--steps", "4"]])
def test_a_real_run_is_judged_as_the_reference_says_and_reported(tmp_path, capsys, words):
    place = tmp_path / "set"
    assert generate(place, "--count", "2", "--seed", "3", *words, pair=("fear", "surprise")) == 0
    assert "images between surprise and fear (guided" in capsys.readouterr().out
    made = SampleSet.load(place)
    configuration, reference = made.emotion, load_reference_set("dcgan")
    assert made.manifest["counts"] == {"genuine": 2, "boundary": 2}
    for name in configuration.classifiers:
        middle, verdict = ("", "passed_filter") if name == configuration.steerer else (f"{name}_", f"passed_{name}")
        logits = made.samples[[f"logit_{middle}{emotion}" for emotion in EMOTIONS]].to_numpy()
        assert (
            made.samples[verdict].tolist() == reference.exceeds_percentiles(name, logits, configuration.pair).all(axis=1).tolist()
        )
        p = made.samples[[f"p_{middle}{emotion}" for emotion in EMOTIONS]].to_numpy()
        assert np.allclose(p, softmax(logits, axis=1))
    assert main(["report", str(place), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["classifier"] for each in said["classifiers"]] == list(configuration.classifiers)
    assert {each["plain"]["n"] for each in said["classifiers"]} == {len(reference)}
    assert (said["n"], said["guided"], said["faces"]["threshold"]) == (2, 2, 0.6)
