"""The base's command line and what is said when its pins cannot be met; nothing is installed."""

import io
import tarfile
from pathlib import Path

import pytest

from scripts.errors import ImageBuildError, UsageError
from scripts.image import base, lanes, mmdebstrap
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import Lane

BOOKWORM = lanes.load("bookworm")
PINS = {"libc6": "2.36-9", "make": "4.3-4.1"}
HASHES = {"libc6": "a" * 64, "make": "b" * 64}
LOCK = base.Packages("20261126T120000Z", PINS, HASHES)
GONE = "E: Version '4.3-4.1' for 'make' was not found"


def status(packages: dict[str, str]) -> str:
    stanza = "Package: {}\nStatus: install ok installed\nVersion: {}\nDescription: x\n more\n"
    return "\n".join(stanza.format(*item) for item in packages.items())


def root(path: Path, packages: dict[str, str]) -> None:
    data = status(packages).encode()
    member = tarfile.TarInfo("./var/lib/dpkg/status")
    member.size = len(data)
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def log(tmp_path: Path) -> BuildLog:
    return BuildLog(tmp_path / "image.log")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(base, "CACHE", tmp_path / "cache")
    monkeypatch.delenv(base.SOURCES_VARIABLE, raising=False)
    return tmp_path / "cache"


class Mirror:
    """In place of mmdebstrap: makes a root with some packages, or fails saying something."""

    def __init__(self) -> None:
        self.packages: dict[str, str] | None = PINS
        self.hashes = HASHES
        self.says = ""
        self.sources: list[str] = []
        self.past = False  # whether the snapshot has what the mirror has not

    def run(self, client: object, lane: Lane, command: object, work: Path, log: BuildLog) -> int:
        self.sources.append((work / "sources.list").read_text())
        is_past = "check-valid-until=no" in self.sources[-1]
        if self.packages is None and not (self.past and is_past):
            log.write(self.says)
            return 25
        packages = PINS if self.packages is None else self.packages
        root(work / "base.tar", packages)
        shown = "Package: {}\nVersion: {}\nSHA256: {}\nDescription: x\n"
        stanzas = (shown.format(k, v, self.hashes.get(k, "c" * 64)) for k, v in packages.items())
        (work / "shown").write_text("\n".join(stanzas))
        return 0


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Mirror:
    server = Mirror()
    monkeypatch.setattr(mmdebstrap, "run", server.run)
    return server


def make(log: BuildLog, lane: Lane = BOOKWORM, *, fresh: bool = False) -> Path:
    return base.tarball(None, lane, LOCK, log, fresh=fresh)  # type: ignore[arg-type]


def test_every_package_is_asked_for_at_its_version() -> None:
    argv = base.command(BOOKWORM, PINS, Path("/base"))
    assert "--include=libc6=2.36-9,make=4.3-4.1" in argv
    assert argv[-2:] == ["bookworm", "/base/base.tar"]


def test_without_pins_the_lanes_own_list_is_asked_for() -> None:
    assert f"--include={','.join(BOOKWORM.packages)}" in base.command(BOOKWORM, {}, Path("/w"))


def test_packages_of_the_minimal_set_are_held_too() -> None:
    assert "Package: libc6\nPin: version 2.36-9\nPin-Priority: 1001" in base.preferences(PINS)


def test_a_base_is_made_once(log: BuildLog, mirror: Mirror) -> None:
    assert make(log) == make(log)
    assert len(mirror.sources) == 1
    make(log, fresh=True)
    assert len(mirror.sources) == 2


def test_a_base_of_other_hashes_is_made_again(log: BuildLog, mirror: Mirror) -> None:
    make(log)
    mirror.hashes = {**HASHES, "make": "c" * 64}
    lock = base.Packages(LOCK.date, PINS, mirror.hashes)
    base.tarball(None, BOOKWORM, lock, log, fresh=False)  # type: ignore[arg-type]
    assert len(mirror.sources) == 2


@pytest.mark.parametrize("harm", ["flip", "truncate", "forget"])
def test_a_base_that_was_touched_is_made_again(log: BuildLog, mirror: Mirror, harm: str) -> None:
    path = make(log)
    whole = path.read_bytes()
    if harm == "flip":
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    elif harm == "truncate":
        path.write_bytes(whole[:-1])
    else:
        path.with_suffix(".sha256").unlink()
    assert make(log).read_bytes() == whole
    assert len(mirror.sources) == 2


@pytest.mark.parametrize(
    ("reported", "named"),
    [
        ({"libc6": "2.36-10", "make": "4.3-4.1"}, "libc6"),
        ({"libc6": "2.36-9"}, "make"),
        ({**PINS, "perl": "5"}, "perl"),
    ],
)
def test_any_other_package_is_refused_by_name(
    log: BuildLog, mirror: Mirror, reported: dict[str, str], named: str, cache: Path
) -> None:
    mirror.packages = reported
    with pytest.raises(ImageBuildError, match=f"not what is locked: {named}\\."):
        make(log)
    assert not list(cache.glob("*"))


def test_other_bytes_under_a_locked_version_are_refused_by_name(
    log: BuildLog, mirror: Mirror, cache: Path
) -> None:
    mirror.hashes = {**HASHES, "make": "f" * 64}
    with pytest.raises(ImageBuildError, match="other bytes than those locked of make"):
        make(log)
    assert not list(cache.glob("*"))


@pytest.mark.parametrize("says", [GONE, "E: Unable to locate package make"])
def test_a_pin_that_no_archive_has_is_named(log: BuildLog, mirror: Mirror, says: str) -> None:
    mirror.packages, mirror.says = None, says
    with pytest.raises(ImageBuildError, match="no such version of make") as caught:
        make(log)
    assert "invoke image.lock" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "says",
    [
        GONE,
        "E: Failed to fetch http://mirror.test/make_4.3-4.1_amd64.deb  404  Not Found",
        "E: Release file for http://mirror.test/InRelease is expired (invalid since 3d).",
    ],
)
def test_what_the_mirror_no_longer_has_comes_from_the_archive_of_the_locks_date(
    log: BuildLog, mirror: Mirror, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.packages, mirror.says, mirror.past = None, says, True
    assert make(log).is_file()
    usual, past = mirror.sources
    assert usual == ""
    assert "/archive/debian/20261126T120000Z bookworm main" in past
    assert "taking the archive of 20261126T120000Z" in capsys.readouterr().out


def test_a_full_disk_is_no_reason_to_go_to_the_past(log: BuildLog, mirror: Mirror) -> None:
    mirror.packages, mirror.says, mirror.past = None, "E: no space left on device", True
    with pytest.raises(ImageBuildError, match="no space left"):
        make(log)
    assert len(mirror.sources) == 1


def test_what_the_archive_has_now_is_what_a_lock_is_made_of(
    log: BuildLog, mirror: Mirror, cache: Path
) -> None:
    newest = base.newest(None, BOOKWORM, log)  # type: ignore[arg-type]
    assert (newest.versions, newest.hashes) == (PINS, HASHES)
    assert not list(cache.glob("*"))


def test_another_sources_list_can_be_named(
    log: BuildLog, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(base.SOURCES_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="is not a file"):
        make(log)
    (tmp_path / "mine.list").write_text("deb http://mirror.test bookworm main\n")
    monkeypatch.setenv(base.SOURCES_VARIABLE, str(tmp_path / "mine.list"))
    assert make(log).is_file()
    assert mirror.sources == ["deb http://mirror.test bookworm main\n"]
    argv = base.command(BOOKWORM, PINS, Path("/base"), sources=True)
    assert argv[-1] == "/base/sources.list"
