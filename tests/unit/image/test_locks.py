"""The lock files as they are committed, and the rules that they are made by."""

import re
from pathlib import Path

import pytest

from scripts.errors import ImageBuildError, UsageError
from scripts.image import lanes, locks
from scripts.image.base import Packages
from scripts.image.wheels import Pin

LOCKS = lanes.DOCKER / "locks"
BOOKWORM = lanes.load("bookworm")


def pins(path: Path) -> list[tuple[str, str, list[str]]]:
    """Return the name, version and hashes of every pin in a file of pip's."""
    text = path.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [(*line[0].split("=="), line[1:]) for line in lines]  # type: ignore[misc]


@pytest.mark.parametrize("name", ["host.txt", "cluster.txt", "qairt.txt", "bookworm.python.txt"])
def test_every_python_package_is_pinned_by_hash(name: str) -> None:
    locked = pins(LOCKS / name)
    assert locked
    for package, version, hashes in locked:
        assert re.fullmatch(r"[0-9][0-9a-z.+]*", version), package
        assert hashes, package
        for text in hashes:
            assert re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text), package


def test_a_cluster_adds_to_the_hosts_environment_and_changes_nothing_in_it() -> None:
    host, cluster = ({name for name, *_ in pins(lock)} for lock in (locks.HOST, locks.CLUSTER))
    assert not host & cluster
    assert {"dask", "distributed"} <= cluster


def test_every_requirement_is_locked_at_its_version() -> None:
    locked = {name: version for name, version, _ in pins(BOOKWORM.lock("python.txt"))}
    for requirement in BOOKWORM.requirements:
        name, version = requirement.split("==")
        assert locked[name.replace("_", "-").lower()] == version


def test_nothing_of_cuda_is_locked() -> None:
    names = {name for name, _, _ in pins(BOOKWORM.lock("python.txt"))}
    assert not [name for name in names if name.startswith(("nvidia", "cuda", "triton"))]


def test_qualcomms_libraries_are_locked_for_both_machines() -> None:
    ((name, version, hashes),) = pins(locks.QAIRT)
    assert len(hashes) == 2
    assert f"{name}=={version}" in BOOKWORM.requirements


def test_every_debian_package_asked_for_is_locked() -> None:
    locked = locks.packages(BOOKWORM)
    assert set(BOOKWORM.packages) <= locked.versions.keys()
    assert len(locked.versions) > 100
    assert locked.versions.keys() == locked.hashes.keys()
    assert re.fullmatch(r"\d{8}T\d{6}Z", locked.date)
    assert locked.versions["g++-11-aarch64-linux-gnu"].startswith(BOOKWORM.gcc)


def test_packages_are_read_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(lanes, "DOCKER", tmp_path)
    packages = Packages("20261126T120000Z", {"libc6": "1:2.36-9+b1"}, {"libc6": "0" * 64})
    locks.write_packages(BOOKWORM, packages)
    assert locks.packages(BOOKWORM) == packages


def test_locks_name_no_address() -> None:
    for path in LOCKS.iterdir():
        assert not re.search(r"://|\b[a-z-]+\.(org|com|io|net)\b", path.read_text()), path.name


def test_a_lane_without_locks_says_how_to_make_them() -> None:
    with pytest.raises(ImageBuildError, match=r"jammy\.packages\.txt") as caught:
        locks.packages(lanes.load("jammy"))
    assert "invoke image.lock --lane jammy" in str(caught.value)


def test_wheels_of_one_version_share_a_pin() -> None:
    merged = locks.merged([Pin("a", "1", ("x",)), Pin("b", "2", ("y",)), Pin("a", "1", ("w",))])
    assert merged == [Pin("a", "1", ("w", "x")), Pin("b", "2", ("y",))]
    assert merged[0].line() == "a==1 \\\n    --hash=sha256:w \\\n    --hash=sha256:x\n"


def test_recorded_digest_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(lanes, "DOCKER", tmp_path)
    assert locks.recorded(BOOKWORM) == {}
    locks.record(BOOKWORM, "sha256:in", "sha256:out")
    assert locks.recorded(BOOKWORM) == {"inputs": "sha256:in", "content": "sha256:out"}


@pytest.mark.parametrize(
    "text",
    ['inputs = "sha256:in"\n', "<<<<<<< HEAD\n", 'inputs = "sha256:in"\ncontent = sha256:out"\n'],
)
def test_a_damaged_file_of_digests_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(lanes, "DOCKER", tmp_path)
    (tmp_path / "locks").mkdir()
    BOOKWORM.lock("digest").write_text(text)
    with pytest.raises(UsageError, match=r"bookworm.digest is damaged"):
        locks.recorded(BOOKWORM)
