"""Wheels by hash, with the real pip and a folder of made-up wheels in place of an index."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from scripts.errors import ImageBuildError
from scripts.image import wheels
from scripts.image.buildlog import BuildLog
from scripts.image.wheels import Pin, Platform

PLATFORM = Platform("3.11", "x86_64", "2.36")


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(wheels, "CACHE", tmp_path / "cache")
    return folder


@pytest.fixture
def log(tmp_path: Path) -> BuildLog:
    return BuildLog(tmp_path / "image.log")


def wheel(index: Path, name: str, tag: str = "py3-none-any", needs: str = "") -> str:
    """Write a wheel of version 1.0 and return its SHA-256."""
    info = f"{name}-1.0.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    path = index / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock(tmp_path: Path, *pins: Pin) -> Path:
    path = tmp_path / "bookworm.python.txt"
    path.write_text("".join(pin.line() for pin in pins))
    return path


def test_what_is_asked_for_is_resolved_with_all_that_it_needs(index: Path) -> None:
    needed = wheel(index, "small")
    wanted = wheel(index, "big", "cp311-cp311-manylinux_2_28_x86_64", needs="small")
    assert wheels.resolve(["big"], PLATFORM) == [
        Pin("big", "1.0", (wanted,)),
        Pin("small", "1.0", (needed,)),
    ]


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_39_x86_64",
        "cp311-cp311-manylinux_2_28_aarch64",
        "cp312-cp312-manylinux_2_28_x86_64",
    ],
)
def test_a_wheel_that_cannot_run_in_the_image_is_not_chosen(index: Path, tag: str) -> None:
    wheel(index, "big", tag)
    with pytest.raises(ImageBuildError, match="No matching distribution found for big"):
        wheels.resolve(["big"], PLATFORM)


def test_locked_wheels_are_fetched_once(index: Path, tmp_path: Path, log: BuildLog) -> None:
    locked = lock(tmp_path, Pin("small", "1.0", (wheel(index, "small"),)))
    folder = wheels.download(locked, PLATFORM, log)
    assert [path.name for path in folder.iterdir()] == ["small-1.0-py3-none-any.whl"]
    (index / "small-1.0-py3-none-any.whl").unlink()
    assert wheels.download(locked, PLATFORM, log) == folder


def test_another_file_of_that_version_is_refused_by_name(
    index: Path, tmp_path: Path, log: BuildLog
) -> None:
    wheel(index, "small")
    with pytest.raises(ImageBuildError, match=r"bookworm\.python\.txt: small"):
        wheels.download(lock(tmp_path, Pin("small", "1.0", ("0" * 64,))), PLATFORM, log)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".partial"]


def test_a_wheel_that_cannot_be_had_is_named(tmp_path: Path, log: BuildLog) -> None:
    with pytest.raises(ImageBuildError, match=r"torch==1\.0 cannot be fetched") as caught:
        wheels.download(lock(tmp_path, Pin("torch", "1.0", ("0" * 64,))), PLATFORM, log)
    assert "CPU wheel" in str(caught.value)
    assert "pip config list" in str(caught.value)
