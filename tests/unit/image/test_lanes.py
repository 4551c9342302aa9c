"""The lanes' data, and what holds for every lane."""

import re

import pytest

from scripts.errors import UsageError
from scripts.image import lanes
from scripts.image.lanes import Lane


@pytest.fixture(params=lanes.names())
def lane(request: pytest.FixtureRequest) -> Lane:
    return lanes.load(request.param)


def test_there_are_two_lanes_and_the_default_one_is_built() -> None:
    assert lanes.names() == ["bookworm", "jammy"]
    assert lanes.load(lanes.DEFAULT).built


def test_unknown_lane_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no lane 'trixie'") as caught:
        lanes.load("trixie")
    assert "bookworm, jammy" in str(caught.value)


def test_packages_have_what_every_stage_needs(lane: Lane) -> None:
    names = {package.split("=")[0] for package in lane.packages}
    needed = {"g++-11-aarch64-linux-gnu", "binutils-aarch64-linux-gnu", f"clang-{lane.clang}"}
    assert needed | {"make", "qemu-user-static", f"python{lane.python}"} <= names


def test_jammy_takes_the_release_pockets_compiler_only() -> None:
    jammy = lanes.load("jammy")
    assert jammy.pockets == ("jammy",)
    assert "g++-11-aarch64-linux-gnu=11.2.0-17ubuntu1cross1" in jammy.packages
    assert (jammy.gcc, jammy.python) == ("11.2.0", "3.10")


def test_a_lane_never_built_has_no_invented_lock_or_digest(lane: Lane) -> None:
    locks = [lane.lock(kind).exists() for kind in ("packages.txt", "python.txt")]
    assert locks == [lane.built] * 2
    assert lane.built or not lane.lock("digest").exists()


def test_a_registry_reference_is_by_digest(lane: Lane) -> None:
    assert re.fullmatch(r"(\S+@sha256:[0-9a-f]{64})?", lane.registry)


def test_torch_is_locked_to_its_cpu_build() -> None:
    requirements = lanes.load("bookworm").requirements
    assert next(r for r in requirements if r.startswith("torch==")).endswith("+cpu")
