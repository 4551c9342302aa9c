"""Archives: the same bytes whenever they are made, and refused where they are not whole."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest

from scripts.errors import ArtefactError
from scripts.package import archive
from scripts.package.item import PROGRAM, Item

ITEMS = [Item("b/two", b"2", "x"), Item("a", b"1", "x", PROGRAM)]


def test_the_same_items_give_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"2")
    archive.write(tmp_path / "one.tar.gz", "root", ITEMS)
    os.utime(source, (1, 1))
    source.chmod(0o600)
    moved = [Item("a", b"1", "x", PROGRAM), Item("b/two", source, "x")]
    archive.write(tmp_path / "other.tar.gz", "root", moved)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()


def test_order_modes_times_and_owners_are_fixed(tmp_path: Path) -> None:
    archive.write(tmp_path / "x.tar.gz", "root", ITEMS)
    with tarfile.open(tmp_path / "x.tar.gz") as tar:
        found = [(one.name, one.mode, one.mtime, one.uid, one.uname) for one in tar]
    assert found == [
        ("root/a", 0o755, 315532800, 0, ""),
        ("root/b/two", 0o644, 315532800, 0, ""),
    ]


def test_the_gzip_header_holds_neither_name_nor_time(tmp_path: Path) -> None:
    archive.write(tmp_path / "x.tar.gz", "root", ITEMS)
    header = (tmp_path / "x.tar.gz").read_bytes()[:8]
    assert header == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="gone does not exist"):
        archive.write(tmp_path / "x.tar.gz", "root", [Item("a", tmp_path / "gone", "x")])


@pytest.mark.parametrize("name", ["root/../../etc/passwd", "bare", "root/a/../../b"])
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ArtefactError, match="no place"), archive.opened(tmp_path / "x.tar.gz") as t:
        list(archive.members(t))


def test_links_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("root/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.addfile(link)
    with pytest.raises(ArtefactError, match="no place"), archive.opened(tmp_path / "x.tar.gz") as t:
        list(archive.members(t))


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(b"not tar")])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    with (
        pytest.raises(ArtefactError, match="not a whole package"),
        archive.opened(tmp_path / "x.tar.gz") as tar,
    ):
        list(archive.members(tar))
