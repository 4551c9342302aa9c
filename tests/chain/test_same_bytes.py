"""The same inputs give the same bytes, wherever they are built."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chain import building
from tests.chain.building import PRECISIONS, Network


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_folders(network: Callable[[str], Network], tmp_path: Path, precision: str) -> None:
    made = network("digits")
    first, second = tmp_path / "a", tmp_path / "b" / "longer" / "path"
    for folder in (first, second):
        building.context(made, precision, folder)
    names = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    names = [name for name in names if name.name != ".usage.json"]
    assert len(names) >= 9
    assert [name for name in names if contents(first, name) != contents(second, name)] == []


def contents(folder: Path, name: Path) -> bytes:
    return (folder / name).read_bytes()
