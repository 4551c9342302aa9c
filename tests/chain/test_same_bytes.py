"""The same inputs give the same bytes, wherever they are built."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import artefacts
from scripts.htp import sdk
from tests.chain import building
from tests.chain.building import PRECISIONS, Network


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_folders(network: Callable[[str], Network], tmp_path: Path, precision: str) -> None:
    exported = network("digits")
    first, second = tmp_path / "a", tmp_path / "b" / "longer" / "path"
    for folder in (first, second):
        building.context(exported, precision, folder)
    names = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    names = [name for name in names if name.name != ".usage.json"]
    assert len(names) >= 9
    assert [name for name in names if contents(first, name) != contents(second, name)] == []


def test_the_yocto_target_is_the_same_compiler(
    libraries: Callable[[str], dict[str, Path]], tmp_path: Path
) -> None:
    known = libraries("int8")[sdk.DEVICE]
    cpp = known.parents[2] / artefacts.model_cpp("digits", "int8")
    root, target = sdk.in_force(), "aarch64-oe-linux-gcc11.2"
    tool = root.tool("qnn-model-lib-generator")
    files = ("-c", cpp, "-b", cpp.with_suffix(".bin"), "-o", tmp_path)
    name = known.stem.removeprefix("lib")
    command: list[str | Path] = [tool, *files, "-t", target, "-l", name]
    subprocess.run(command, cwd=tmp_path, env=root.environment(), check=True)
    assert (tmp_path / target / known.name).read_bytes() == known.read_bytes()


def contents(folder: Path, name: Path) -> bytes:
    return (folder / name).read_bytes()
