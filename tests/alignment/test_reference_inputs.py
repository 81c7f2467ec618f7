"""Reference faces as classifiers read them: what there was before a stop, or came with the package, is not made again."""

import pytest
import torch

from core.alignment import data
from core.alignment.data import load_reference_inputs, load_reference_labels, load_reference_rows
from core.errors import LiminalError
from core.progress import Progress

NETWORKS = ("mini-xception", "tanh-cnn")


def test_after_a_stop_what_was_made_is_read_and_a_damaged_file_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FACES_PER_FILE", 2)
    labels = load_reference_labels("dcgan", 5)
    said = []
    progress = Progress(lambda stage: (said.append(stage), len(said) == 2 and progress.cancel.set()))
    with pytest.raises(LiminalError, match="Stopped"):
        load_reference_inputs(labels, NETWORKS, tmp_path, progress)
    assert len(list(tmp_path.iterdir())) == 2 * len(NETWORKS)  # what had begun is brought to its end

    again = []
    found = load_reference_inputs(labels, NETWORKS, tmp_path, Progress(again.append))
    assert [len(found[name]) for name in NETWORKS] == [5, 5]
    assert [round(5 * stage.fraction) for stage in again] == [4]

    for each in tmp_path.iterdir():
        each.write_bytes(b"damaged")
    repaired = load_reference_inputs(labels, NETWORKS, tmp_path)
    assert all((found[name] == repaired[name]).all() for name in NETWORKS)
    fewer = load_reference_inputs(
        load_reference_labels("dcgan", 4), NETWORKS, tmp_path, Progress(lambda stage: pytest.fail(stage.message))
    )
    assert (fewer["tanh-cnn"] == found["tanh-cnn"][:4]).all()


def test_rows_that_come_with_the_package_spare_the_making_until_the_encoder_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FACES_PER_FILE", 2)
    monkeypatch.setattr(data, "REFERENCE_FOLDER", tmp_path / "package")
    labels = load_reference_labels("dcgan", 3)
    read = load_reference_rows(labels, tmp_path / "made")
    data.save_reference_embeddings("dcgan", read)
    quiet = Progress(lambda stage: pytest.fail(stage.message))
    found = load_reference_inputs(labels, ("emotion-mlp",), tmp_path / "fresh", quiet, alongside=NETWORKS)["emotion-mlp"]
    assert (found == torch.cat(list(read.values()))).all()

    said = []
    load_reference_inputs(labels, ("tanh-cnn",), tmp_path / "fresh", Progress(said.append), alongside=("emotion-mlp", *NETWORKS))
    assert said
    load_reference_inputs(labels, NETWORKS, tmp_path / "fresh", quiet)  # mini-XCEPTION looked at them when they were made

    monkeypatch.setattr(data, "hash_reference_models", lambda generator: "another encoder")
    with pytest.raises(pytest.fail.Exception):
        load_reference_inputs(labels, ("emotion-mlp",), tmp_path / "anew", quiet)


@pytest.mark.parametrize(("generator", "classifier"), [("dcgan-sharp", "emotion-mlp"), ("head", "head-emotion-mlp")])
def test_the_stored_rows_are_those_of_the_encoder_and_the_population_of_today(generator, classifier):
    labels = load_reference_labels(generator, 800)
    for start in range(0, 800, data.FACES_PER_FILE):
        key = data.describe_reference_rows(classifier, labels.generator, labels.seeds[start : start + data.FACES_PER_FILE])
        rows = data.find_reference_embeddings(labels.generator, data.input_file_name(key))
        assert rows is not None, "python -m core assets alignment makes them anew"
        assert rows.shape == (data.FACES_PER_FILE, 96)
