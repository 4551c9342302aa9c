from pathlib import Path

import pytest

from scripts.errors import ReproducibilityError
from scripts.pipeline import reproduce
from scripts.pipeline.store import Store


def built(root: Path, **files: bytes) -> Path:
    store = Store(root)
    partial = store.partial("export")
    for name, data in files.items():
        (partial / name).write_bytes(data)
    store.commit("export", "k", {})
    return root


def test_equal_builds_are_listed(tmp_path: Path) -> None:
    first, second = built(tmp_path / "1", a=b"xy"), built(tmp_path / "2", a=b"xy")
    assert list(reproduce.compare(first, second)) == [("a", 2)]


def test_the_first_difference_is_named_with_its_offset(tmp_path: Path) -> None:
    first, second = (
        built(tmp_path / "1", a=b"x", b=b"0123"),
        built(tmp_path / "2", a=b"x", b=b"0143"),
    )
    with pytest.raises(ReproducibilityError, match="b differs at byte 2"):
        list(reproduce.compare(first, second))


def test_a_file_on_one_side_only_is_named(tmp_path: Path) -> None:
    first, second = built(tmp_path / "1", a=b"x"), built(tmp_path / "2", a=b"x", c=b"y")
    with pytest.raises(ReproducibilityError, match="has c"):
        list(reproduce.compare(first, second))


@pytest.mark.parametrize(("left", "right", "offset"), [(b"ab", b"ab", None), (b"ab", b"abc", 2)])
def test_first_difference(tmp_path: Path, left: bytes, right: bytes, offset: int | None) -> None:
    (tmp_path / "l").write_bytes(left)
    (tmp_path / "r").write_bytes(right)
    assert reproduce.first_difference(tmp_path / "l", tmp_path / "r") == offset


def test_difference_beyond_the_first_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce, "_CHUNK", 4)
    (tmp_path / "l").write_bytes(b"0123456789")
    (tmp_path / "r").write_bytes(b"012345678x")
    assert reproduce.first_difference(tmp_path / "l", tmp_path / "r") == 9
