"""The notebooks in ``examples`` run as they are, each in its own folder as in Jupyter; what they printed is stored with them."""

import json
import sys
from pathlib import Path

import pytest

from core.data_folder import ASSETS

EXAMPLES = ASSETS.parent / "examples"


def read_cells(path: Path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_printed(path, monkeypatch):
    cells = read_cells(path)
    assert cells
    assert 'sys.path.insert(0, "..")' in "".join(cells[0]["source"])  # here ``core`` is found without, in Jupyter it is not
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert all(output["output_type"] != "error" for cell in cells for output in cell["outputs"])
    assert any(cell["outputs"] for cell in cells)
    shown = []
    names = {"__name__": "__main__", "display": lambda what, raw=False: shown.append(what)}
    for cell in cells:
        exec(compile("".join(cell["source"]), path.name, "exec"), names)
    printed = sum(output["output_type"] == "display_data" for cell in cells for output in cell["outputs"])
    assert len(shown) == printed
