"""Which room may import which (ARCHITECTURE.md): read from the imports, not from what they do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.source import ROOT

OPENQNN = ROOT / "toolchains" / "openqnn" / "lib" / "python"
# From the ground up. A room may use the ground, openqnn, and those that are named.
ROOMS = {
    "catalog": set[str](),
    "pictures": {"catalog"},
    "checkpoint": {"catalog", "pictures"},
    "lowering": {"catalog", "pictures"},
    "htp": {"catalog"},
    "quantization": {"catalog"},
    "verification": {"catalog", "pictures", "checkpoint", "htp"},
    "package": {"catalog", "pictures", "htp"},
    "report": {"catalog", "package"},
    "stages": {
        *("catalog", "pictures", "checkpoint", "lowering", "htp", "quantization", "verification"),
        *("package", "report"),
    },
    "image": set[str](),
    "pipeline": {"catalog", "pictures", "checkpoint", "package", "report", "image"},
    "boards": {"package", "htp"},
    "sweep": {"catalog", "package", "report", "pipeline", "boards"},
}
ROOMS["bench"] = set(ROOMS)
FILES = sorted((ROOT / "scripts").rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    """The room of a file, nothing for the ground."""
    parts = path.relative_to(ROOT / "scripts").parts
    return parts[0] if len(parts) > 1 else ""


def used(path: Path) -> set[str]:
    """The rooms that a file imports, its own left out."""
    names = (name.split(".") for name in imported(path))
    return {parts[1] for parts in names if parts[0] == "scripts" and parts[1] in ROOMS} - {
        room(path)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    assert used(path) <= ROOMS.get(room(path), set())


def test_every_folder_is_a_room() -> None:
    folders = {path.parent.name for path in (ROOT / "scripts").glob("*/*.py")}
    assert folders == set(ROOMS)


def test_stages_are_programs_and_nothing_else() -> None:
    """Each has a `main`, is run as a program, and is imported by none."""
    for path in (ROOT / "scripts" / "stages").glob("[!_]*.py"):
        assert "def main(" in (text := path.read_text()), path
        assert 'if __name__ == "__main__":' in text, path
        assert len(text.splitlines()) < 130, path
    assert not [
        path for path in FILES for name in imported(path) if name.startswith("scripts.stages.")
    ]


def test_openqnn_stands_on_nothing_of_ours() -> None:
    names = [name for path in OPENQNN.rglob("*.py") for name in imported(path)]
    assert names and not [name for name in names if name.split(".")[0] == "scripts"]


def test_a_wrong_import_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("from scripts.pipeline import store\nimport scripts.stages.export\n")
    assert list(imported(path)) == ["scripts.pipeline.store", "scripts.stages.export"]
