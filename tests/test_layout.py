"""The layout of DESIGN.md holds: core knows no streamlit, its folders import only leftwards, pages stay thin."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["models", "sampling", "studies", "analysis", "alignment"]
CORE = sorted((ROOT / "core").rglob("*.py"))


def imported(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_imports_neither_streamlit_nor_the_app(path):
    for name in imported(path):
        assert name.split(".")[0] not in ("streamlit", "ui", "pages"), f"{path} imports {name}"


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_folders_import_only_leftwards(path):
    folder = path.relative_to(ROOT / "core").parts[0]
    if folder not in ORDER:
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "core" and len(parts) > 1:
            assert parts[1] not in ("commands", "figures", "__main__"), f"{path} imports {name}"
            if parts[1] in ORDER:
                assert ORDER.index(parts[1]) <= ORDER.index(folder), f"{path} imports {name}"


def test_no_file_is_long_or_called_utils():
    for path in [*CORE, *(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py")]:
        assert path.stem not in ("utils", "common", "helpers", "misc"), path
        assert len(path.read_text().splitlines()) <= 600, f"{path} has grown beyond one subject"


def test_nothing_committed_names_a_registry_or_a_place_of_one_machine():
    words = ("pypi.org", "pythonhosted", "registry.npmjs", "deb.debian.org", "/work/", "index-url", "find-links")
    for path in [
        *ROOT.glob("[!.]*"),
        *(ROOT / ".ci").glob("*"),
        *CORE,
        *(ROOT / "ui").rglob("*.py"),
        *(ROOT / "pages").glob("*.py"),
    ]:
        if path.is_file() and path.suffix not in (".png", ".webp"):
            text = path.read_text(errors="ignore")
            assert not [word for word in words if word in text], path
