"""``python -m core align``: refusals are one line and exit code 2; what is kept is listed."""

import pytest

from core.__main__ import main


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["group", "--study", "nowhere"], "nowhere"),
        (["group", "--study", "nowhere", "--epochs", "0"], "'epochs' must be a whole number"),
        (["individual", "--study", "nowhere", "--rate", "0"], "'rate' must be a number"),
        (["report"], "--study"),
        (["group", "--study", "nowhere", "--classifiers", "small-cnn"], "small-cnn"),
    ],
)
def test_refusals_are_one_line(arguments, said, capsys):
    assert main(["align", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1


def test_nothing_is_listed_at_first(capsys):
    assert main(["align", "list"]) == 0
    assert "Nothing has learned" in capsys.readouterr().out
