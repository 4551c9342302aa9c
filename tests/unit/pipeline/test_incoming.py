"""Files that come in parts."""

from hashlib import sha256
from pathlib import Path

from scripts.pipeline.incoming import Incoming


def test_what_an_earlier_try_left_is_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"first ")
    incoming = Incoming(tmp_path / "file")
    assert incoming.size == 6
    incoming.append([b"sec", b"ond"], limit=12)
    assert incoming.sha256 == sha256(b"first second").hexdigest()
    assert incoming.path.read_bytes() == b"first second"


def test_no_more_is_written_than_a_file_can_have(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "file")
    incoming.append(iter([b"four", b"four", b"more"]), limit=6)
    assert incoming.path.read_bytes() == b"fourfo"
    assert incoming.sha256 == sha256(b"fourfo").hexdigest()


def test_a_file_begun_anew_holds_nothing_of_before(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "file")
    incoming.append([b"wrong"], limit=9)
    incoming.clear()
    incoming.append([b"right"], limit=5)
    assert (incoming.size, incoming.path.read_bytes()) == (5, b"right")
    assert incoming.sha256 == sha256(b"right").hexdigest()
