"""Reference faces as classifiers read them: what there was before a stop is not made again, and a damaged file is."""

import pytest

from core.alignment import inputs
from core.alignment.inputs import reference_inputs, reference_labels
from core.errors import LiminalError
from core.progress import Progress

NETWORKS = ("mini-xception", "tanh-cnn")


def test_after_a_stop_what_was_made_is_read_and_a_damaged_file_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "TOGETHER", 2)
    labels = reference_labels("dcgan", 5)
    said = []
    progress = Progress(lambda stage: (said.append(stage), len(said) == 2 and progress.cancel.set()))
    with pytest.raises(LiminalError, match="Stopped"):
        reference_inputs(labels, NETWORKS, tmp_path, progress)
    assert len(list(tmp_path.iterdir())) == 2 * len(NETWORKS)  # what had begun is brought to its end

    again = []
    found = reference_inputs(labels, NETWORKS, tmp_path, Progress(again.append))
    assert [len(found[name]) for name in NETWORKS] == [5, 5]
    assert [round(5 * stage.fraction) for stage in again] == [4]

    for each in tmp_path.iterdir():
        each.write_bytes(b"damaged")
    repaired = reference_inputs(labels, NETWORKS, tmp_path)
    assert all((found[name] == repaired[name]).all() for name in NETWORKS)
    fewer = reference_inputs(reference_labels("dcgan", 4), NETWORKS, tmp_path, Progress(lambda stage: pytest.fail(stage.message)))
    assert (fewer["tanh-cnn"] == found["tanh-cnn"][:4]).all()
