"""Build ids in clear text, as Qualcomm's libraries and context binaries carry them."""

from pathlib import Path

import pytest

from scripts.errors import ArtefactError
from scripts.package import build_id
from tests.packages import BUILD_ID, OTHER_BUILD_ID


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_finds_the_id_among_other_bytes(tmp_path: Path) -> None:
    file = written(tmp_path / "lib.so", b"\xff" * 5000 + f"Vr{BUILD_ID}.\x01".encode())
    assert build_id.find(file) == BUILD_ID


@pytest.mark.parametrize("text", ["v2.51.0.26092918184", "2.51.0.260929181845", "v2.51.0"])
def test_what_only_looks_like_one_is_none(tmp_path: Path, text: str) -> None:
    assert build_id.find(written(tmp_path / "lib.so", text.encode())) is None


def test_the_bare_time_stamp_counts(tmp_path: Path) -> None:
    stamp = BUILD_ID.rpartition(".")[2]
    assert build_id.carried(written(tmp_path / "a", f"\0{stamp}\0".encode()), BUILD_ID)
    assert not build_id.carried(written(tmp_path / "b", f"\0{stamp}9\0".encode()), BUILD_ID)
    assert not build_id.carried(written(tmp_path / "c", OTHER_BUILD_ID.encode()), BUILD_ID)


def test_reads_what_a_context_was_compiled_for(tmp_path: Path) -> None:
    context = written(tmp_path / "x.bin", b"...;soc_type=QCS9100;arch=73;num_nsps=1;...")
    assert build_id.compiled_for(context) == ("QCS9100", "v73")
    assert build_id.compiled_for(written(tmp_path / "y.bin", b"nothing")) is None


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="does not exist"):
        build_id.find(tmp_path / "gone.so")
    with pytest.raises(ArtefactError, match="is empty"):
        build_id.find(written(tmp_path / "empty.so", b""))
