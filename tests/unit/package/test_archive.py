"""Archives: the same bytes whenever they are made, and refused where they are not whole."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest

from scripts.errors import ArtefactError, UsageError
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
        members = [
            (member.name, member.mode, member.mtime, member.uid, member.uname) for member in tar
        ]
    assert members == [
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


def read(path: Path) -> list[tuple[str, bytes]]:
    with archive.opened(path) as members:
        return [(member.path, member.stream.read(100)) for member in members]


def packed(path: Path, *headers: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> Path:
    """Write empty files with these headers."""
    with tarfile.open(path, "w:gz", format=form) as tar:
        for header in headers:
            tar.addfile(header)
    return path


def header(name: str, **values: object) -> tarfile.TarInfo:
    """Return a header that is as ours but for `values`."""
    info = tarfile.TarInfo(name)
    info.mtime = 315532800
    for key, value in values.items():
        setattr(info, key, value)
    return info


def test_what_is_written_is_read(tmp_path: Path) -> None:
    archive.write(tmp_path / "x.tar.gz", "root", ITEMS)
    assert read(tmp_path / "x.tar.gz") == [("a", b"1"), ("b/two", b"2")]


@pytest.mark.parametrize(
    "info",
    [
        *map(header, ("root/../../etc/passwd", "bare", "root/a/../../b", "root//etc/passwd")),
        *map(header, ("/etc/passwd", "root/a\nb", "root/a\tb", "root/a b", "root/-rf", "root/.x")),
        *map(header, ("root/\u00e9", "root/a\x1b[2J", "root/'a'", "../x", "root/a/", "root/a//b")),
        header("root/a", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        header("root/a", type=tarfile.LNKTYPE, linkname="root/b"),
        header("root/a", type=tarfile.FIFOTYPE),
        header("root/a", type=tarfile.CHRTYPE),
        header("root/a", type=tarfile.DIRTYPE, mode=0o755),
        header("root/a", type=tarfile.GNUTYPE_SPARSE),
        header("root/a", mode=0o4755),
        header("root/a", mode=0o666),
        header("root/a", uid=1000),
        header("root/a", uname="root"),
        header("root/a", mtime=0),
        header("root/a", size=1 << 33),
    ],
    ids=lambda info: ascii(info.name) + str(info.type) + oct(info.mode),
)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_no_package_holds_is_refused(tmp_path: Path, info: tarfile.TarInfo, form: int) -> None:
    if form == tarfile.USTAR_FORMAT and info.size:
        pytest.skip("this format cannot say such a size")
    with pytest.raises(ArtefactError) as caught:
        read(packed(tmp_path / "x.tar.gz", info, form=form))
    assert len(caught.value.what.splitlines()) == 1


@pytest.mark.parametrize(
    "names", [("r/a", "r/a"), ("r/a", "r/a/b"), ("r/a/b", "r/a"), ("r/a", "s/b")]
)
def test_names_that_meet_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ArtefactError, match=r"more than once|beside the package"):
        read(packed(tmp_path / "x.tar.gz", *map(header, names)))


def test_an_archive_has_one_end(tmp_path: Path) -> None:
    whole = gzip.decompress(packed(tmp_path / "x.tar.gz", header("root/a")).read_bytes())
    for tail in (b"\0" * 10240, b"x", whole):
        (tmp_path / "x.tar.gz").write_bytes(gzip.compress(whole + tail))
        with pytest.raises(ArtefactError, match="behind its end"):
            read(tmp_path / "x.tar.gz")


def test_what_is_packed_is_held_to_the_same_rule(tmp_path: Path) -> None:
    for item in (Item("a b", b"", "x"), Item("a", b"", "x", 0o4755), Item("/a", b"", "x")):
        with pytest.raises(ArtefactError):
            archive.write(tmp_path / "x.tar.gz", "root", [item])


def test_a_pipe_and_a_folder_are_no_archives(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.tar.gz")
    for path in (tmp_path / "x.tar.gz", tmp_path):
        with pytest.raises(UsageError, match=f"{path} is not a file"):
            read(path)


def test_an_archive_that_is_not_there_is_a_slip_of_the_user(tmp_path: Path) -> None:
    for path in (tmp_path / "x.tar.gz", Path(__file__) / "x.tar.gz"):
        with pytest.raises(UsageError, match="There is no archive"):
            read(path)


@pytest.mark.parametrize(
    ("info", "form", "says"),
    [
        (header("/etc/passwd"), tarfile.USTAR_FORMAT, "'/etc/passwd' is no name"),
        (header("root/a", type=tarfile.SYMTYPE), tarfile.USTAR_FORMAT, "'root/a' is a link"),
        (header("root/a", type=tarfile.DIRTYPE), tarfile.USTAR_FORMAT, "is a folder"),
        (header("root/a", pax_headers={"comment": "c"}), tarfile.PAX_FORMAT, "of the pax format"),
        (header("root/" + "a" * 120), tarfile.GNU_FORMAT, "a header of GNU tar"),
        (header("root/a", uid=7), tarfile.USTAR_FORMAT, "'a' has a header that is not ours"),
        (header("bare"), tarfile.USTAR_FORMAT, "'bare' is in no folder"),
    ],
)
def test_a_refusal_names_the_member_as_it_is_and_what_it_is(
    tmp_path: Path, info: tarfile.TarInfo, form: int, says: str
) -> None:
    path = packed(tmp_path / "x.tar.gz", info, form=form)
    with pytest.raises(ArtefactError) as refusal:
        read(path)
    assert says in refusal.value.what
    assert str(path) in refusal.value.what


def damaged(whole: bytes) -> dict[str, bytes]:
    """Return what an archive may look like after a bad copy, by what is said of it."""
    half, plain = len(whole) // 2, gzip.decompress(whole)
    checksum = bytes(byte ^ 1 for byte in whole[-8:-4])
    header = plain[:148] + b"0000000\0" + plain[156:]
    return {
        "it ends too early": whole[:half],
        "its checksum is wrong": whole[:-8] + checksum + whole[-4:],
        "its compressed data is damaged": whole[:12] + b"\xff" * 8 + whole[20:],
        "has bytes behind its end": whole + b"appended",
        "the header of a file in it is damaged": gzip.compress(header),
    }


def test_damage_is_said_in_words_with_a_cause_and_a_remedy(tmp_path: Path) -> None:
    archive.write(tmp_path / "x.tar.gz", "root", ITEMS)
    for says, content in damaged((tmp_path / "x.tar.gz").read_bytes()).items():
        (tmp_path / "x.tar.gz").write_bytes(content)
        with pytest.raises(ArtefactError, match="is not a whole package") as refusal:
            read(tmp_path / "x.tar.gz")
        assert says in refusal.value.what
        assert refusal.value.cause
        assert "again" in refusal.value.remedy


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(b"not tar")])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(ArtefactError, match="not a whole package"):
        read(tmp_path / "x.tar.gz")
