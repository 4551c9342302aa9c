"""Files written whole or not at all, whatever somebody planted beside them."""

from pathlib import Path

import pytest

from scripts import writing


@pytest.mark.parametrize("synced", [False, True])
def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path, synced: bool) -> None:
    path = tmp_path / "folder/file"
    for content in (b"old", b"new"):
        assert writing.replace(path, content, synced=synced) == path
        assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_link_planted_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_bytes(b"precious")
    for name in ("file", "file.partial"):
        (tmp_path / name).symlink_to(victim)
    writing.replace(path, b"new")
    assert victim.read_bytes() == b"precious"
    assert path.read_bytes() == b"new" and not path.is_symlink()


def test_a_new_file_is_none_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        writing.create(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()
