"""Reading packages back: every byte counts."""

import errno
import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from scripts.errors import ArtefactError, DiskFullError
from scripts.package import archive, inspection, package
from tests import packages


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return packages.package(tmp_path / "build")


def rewritten(whole: Path, change: dict[str, bytes | None]) -> Path:
    """Return a copy in which files have other bytes, or are left out."""
    path = whole.with_name("changed.tar.gz")
    with tarfile.open(whole) as source, tarfile.open(path, "w:gz") as target:
        for member in source:
            stream = source.extractfile(member)
            assert stream is not None
            content = change.get(member.name.partition("/")[2], stream.read())
            if content is not None:
                member.size = len(content)
                target.addfile(member, io.BytesIO(content))
    return path


def test_a_whole_package_passes(whole: Path) -> None:
    checked = package.check(whole)
    assert checked.manifest.name == "dinov3_digits_int8_iq9075"
    assert len(checked.digest) == 64
    assert checked.size == sum(entry.size for entry in checked.entries)


def test_unpacking_writes_bytes_and_modes(tmp_path: Path) -> None:
    path = packages.package(tmp_path / "build", runner=b"#!/bin/sh\n")
    with package.unpacked(path) as unpacked:
        modes = {
            str(file.relative_to(unpacked.folder)): f"{file.stat().st_mode & 0o7777:04o}"
            for file in unpacked.folder.rglob("*")
            if file.is_file()
        }
    assert modes == {entry.path: entry.mode for entry in unpacked.package.entries}
    assert modes["bin/dinov3-run"] == "0755"
    assert not unpacked.folder.exists()


def test_what_a_killed_process_left_is_removed(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (gone := tmp_path / "dinov3-package-gone" / "lib").mkdir(parents=True)
    with package.unpacked(whole) as first, package.unpacked(whole) as second:
        assert not gone.exists()
        assert first.folder.exists()
        assert second.folder.exists()


def test_a_full_disk_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(stream: object, into: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive, "copy", full)
    with pytest.raises(DiskFullError, match="no room"), package.unpacked(whole):
        pass


@pytest.mark.parametrize("name", ["lib/libQnnHtp.so", "README.md", "SHA256SUMS"])
def test_changed_files_are_named(whole: Path, name: str) -> None:
    with pytest.raises(ArtefactError, match=f"{name} (is )?not as"):
        package.check(rewritten(whole, {name: b"other bytes"}))


def test_missing_files_are_named(whole: Path) -> None:
    with pytest.raises(ArtefactError, match=r"README\.md is not as"):
        package.check(rewritten(whole, {"README.md": None}))
    with pytest.raises(ArtefactError, match=r"holds no manifest\.json"):
        package.check(rewritten(whole, {"manifest.json": None}))


def test_a_later_schema_is_refused(whole: Path) -> None:
    later = json.dumps({"schema": 99, "files": []}).encode()
    with pytest.raises(ArtefactError, match="schema 99"):
        package.check(rewritten(whole, {"manifest.json": later}))


@pytest.mark.parametrize("content", [b"[]", b"{}", b"\xff", b'{"files": [{"path": 1}]}'])
def test_other_documents_are_refused(whole: Path, content: bytes) -> None:
    with pytest.raises(ArtefactError, match="not a manifest of ours"):
        package.check(rewritten(whole, {"manifest.json": content}))


def test_truncated_anywhere_is_refused(whole: Path) -> None:
    content = whole.read_bytes()
    for length in range(0, len(content) - 1, len(content) // 40):
        whole.write_bytes(content[:length])
        with pytest.raises(ArtefactError):
            package.check(whole)


def test_a_flipped_byte_is_refused(whole: Path) -> None:
    plain = bytearray(gzip.decompress(whole.read_bytes()))
    plain[plain.find(b"soc_type")] ^= 1
    whole.write_bytes(gzip.compress(plain))
    with pytest.raises(ArtefactError, match=r"serialized.bin is not as"):
        package.check(whole)


def test_inspection_shows_what_it_is(whole: Path) -> None:
    (title, rows), parameters, inputs, (_, files), (_, figures) = inspection.inspect(whole).tables()
    shown = {row[0]: row[1] for row in rows}
    assert title == "dinov3_digits_int8_iq9075"
    assert shown["QNN build"] == packages.BUILD_ID
    assert shown["weights"] == "random:0 (synthetic)"
    assert shown["signature"].startswith("none: ")
    assert ("precision", "int8") in parameters[1]
    assert ("weights", "urn:dinov3-qnn:weights:random:0") in inputs[1]
    assert ("image", f"sha256 {packages.IMAGE}") in inputs[1]
    assert ("cls mean", "0.995") in figures
    assert "lib/libQnnHtpV73Skel.so" in {row[-1] for row in files}
