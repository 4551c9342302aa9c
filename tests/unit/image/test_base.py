"""The base's command line and what is said when its pins cannot be met; nothing is installed."""

import io
import tarfile
from pathlib import Path

import pytest

from scripts.errors import ImageBuildError, UsageError
from scripts.image import base, lanes, mmdebstrap
from scripts.image.buildlog import BuildLog

BOOKWORM = lanes.load("bookworm")
PINS = {"libc6": "2.36-9", "make": "4.3-4.1"}


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


def answers(
    monkeypatch: pytest.MonkeyPatch, packages: dict[str, str] | None, says: str = ""
) -> list[Path]:
    """Let mmdebstrap make a root with these packages, or fail saying something."""
    calls: list[Path] = []

    def run(client: object, lane: object, command: object, work: Path, log: BuildLog) -> int:
        calls.append(work)
        log.write(says)
        if packages is None:
            return 25
        root(work / "base.tar", packages)
        return 0

    monkeypatch.setattr(mmdebstrap, "run", run)
    return calls


def make(log: BuildLog, **options: bool) -> Path:
    return base.tarball(None, BOOKWORM, PINS, log, **options)  # type: ignore[arg-type]


def test_every_package_is_asked_for_at_its_version() -> None:
    argv = base.command(BOOKWORM, PINS, Path("/base"))
    assert "--include=libc6=2.36-9,make=4.3-4.1" in argv
    assert argv[-2:] == ["bookworm", "/base/base.tar"]


def test_without_pins_the_lanes_own_list_is_asked_for() -> None:
    assert f"--include={','.join(BOOKWORM.packages)}" in base.command(BOOKWORM, {}, Path("/w"))


def test_packages_of_the_minimal_set_are_held_too() -> None:
    assert "Package: libc6\nPin: version 2.36-9\nPin-Priority: 1001" in base.preferences(PINS)


def test_a_base_is_made_once(log: BuildLog, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answers(monkeypatch, PINS)
    assert make(log) == make(log)
    assert len(calls) == 1
    make(log, fresh=True)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"libc6": "2.36-10", "make": "4.3-4.1"}, "libc6"),
        ({"libc6": "2.36-9"}, "make"),
        ({**PINS, "perl": "5"}, "perl"),
    ],
)
def test_any_other_package_is_refused_by_name(
    log: BuildLog, monkeypatch: pytest.MonkeyPatch, found: dict[str, str], named: str, cache: Path
) -> None:
    answers(monkeypatch, found)
    with pytest.raises(ImageBuildError, match=f"not what is locked: {named}\\."):
        make(log)
    assert not list(cache.glob("*.tar"))


@pytest.mark.parametrize(
    "says",
    [
        "E: Version '4.3-4.1' for 'make' was not found",
        "E: Unable to locate package make",
    ],
)
def test_a_pin_that_the_archive_has_not_is_named(
    log: BuildLog, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    answers(monkeypatch, None, says)
    with pytest.raises(ImageBuildError, match="no such version of make") as caught:
        make(log)
    assert "invoke image.lock" in str(caught.value)
    assert says in str(caught.value)


def test_another_sources_list_can_be_named(
    log: BuildLog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers(monkeypatch, PINS)
    monkeypatch.setenv(base.SOURCES_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="is not a file"):
        make(log)
    monkeypatch.setenv(base.SOURCES_VARIABLE, __file__)
    assert base.command(BOOKWORM, PINS, Path("/base"))[-1] == "/base/sources.list"
    assert make(log).is_file()
