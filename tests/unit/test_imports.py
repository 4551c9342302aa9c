from pathlib import Path

import pytest

from scripts import digests, imports

TEXT = b"""
from scripts import two
import json

FILES = ("abi.toml", "no file's name")

def late():
    from scripts.data import thing
"""


def names(memory: imports.Memory) -> imports.Names:
    return memory.names(TEXT, digests.of_bytes(TEXT))


def test_imports_and_names_of_files_are_told_wherever_they_stand(tmp_path: Path) -> None:
    first = names(imports.Memory(tmp_path / "kept"))
    assert {"scripts.two", "json", "scripts.data", "scripts.data.thing"} <= {*first.modules}
    assert first.files == ("abi.toml",)


def test_a_text_is_parsed_once_for_all_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = imports.Memory(tmp_path / "kept")
    first = names(before)
    before.save()
    monkeypatch.setattr("ast.parse", lambda text: pytest.fail("it is parsed again"))
    assert names(imports.Memory(tmp_path / "kept")) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(imports._rules(), "rules of another version"),
        lambda text: "[]",
        lambda text: text.replace("[[", "[[[").replace("]]", "]]]"),
    ],
    ids=["cut", "older", "other", "deeper"],
)
def test_what_is_damaged_or_older_is_parsed_again(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    before, file = imports.Memory(tmp_path / "kept"), tmp_path / "kept"
    first = names(before)
    before.save()
    file.write_text(damage(file.read_text()))
    assert names(imports.Memory(file)) == first


def test_where_nothing_can_be_kept_everything_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = imports.Memory(tmp_path / "file" / "kept")
    assert names(memory).files == ("abi.toml",)
    memory.save()
