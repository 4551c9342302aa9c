"""Reasons against a deployment, from made-up boards: both sides and the fix in each."""

import dataclasses
from typing import Any

import pytest

from scripts.boards import fitness
from scripts.boards.devices import Device
from scripts.boards.probe import Facts, Skel
from scripts.errors import MismatchError
from scripts.package.manifest import Manifest
from tests.packages import BUILD_ID, OTHER_BUILD_ID

DEVICE = Device("bench", "host", "user", "/path")
MANIFEST = Manifest(
    {
        "name": "package",
        "target": {"name": "iq9075", "socs": ["QCS9075", "SA8775P"], "arch": "v73"},
        "needs": {"glibc": "2.34", "libraries": ["libcdsprpc.so", "libc.so.6"]},
        "sdk": {"build_id": BUILD_ID},
        "accuracy": {"gate_applied": True},
    },
    (),
)
BOARD = Facts(
    arch="aarch64",
    socs=("qcs9075-iq-9075-evk", "qcs9075"),
    model="IQ-9075 EVK",
    glibc="2.39",
    free=10**9,
    writable=True,
    libraries={"libcdsprpc.so": "/usr/lib/libcdsprpc.so", "libc.so.6": "/lib/libc.so.6"},
    nodes=("/dev/fastrpc-cdsp",),
    denied=(),
    search={},
    skels=(),
    missing=(),
)


def reasons(device: Device = DEVICE, **changes: Any) -> list[fitness.Refusal]:
    return list(fitness.refusals(device, dataclasses.replace(BOARD, **changes), MANIFEST))


def test_a_board_that_fits_is_not_refused() -> None:
    assert reasons() == []
    fitness.check(DEVICE, BOARD, MANIFEST, 10**8)
    assert list(fitness.remarks(BOARD, MANIFEST)) == []


@pytest.mark.parametrize(
    ("changes", "about", "package", "board"),
    [
        ({"arch": "armv7l"}, "architecture", "aarch64", "armv7l"),
        ({"socs": ("QCS6490",)}, "SoC", "QCS9075", "QCS6490"),
        ({"glibc": "2.9"}, "C library", "glibc 2.34", "2.9"),
        ({"libraries": {"libc.so.6": "/lib/libc.so.6"}}, "library", "libcdsprpc.so", "no such"),
        ({"glibc": ""}, "C library", "glibc 2.34", "no glibc"),
        ({"missing": ("flock",)}, "commands", "flock", "none"),
        ({"skels": (Skel("/x/s.so", OTHER_BUILD_ID, "ADSP_LIBRARY_PATH"),)}, "QNN build",
         BUILD_ID, OTHER_BUILD_ID),
        ({"skels": (Skel("/x/s.so", "", "DSP_LIBRARY_PATH"),)}, "QNN build", BUILD_ID, "unknown"),
    ],
)  # fmt: skip
def test_each_mismatch_shows_both_sides(
    changes: dict[str, Any], about: str, package: str, board: str
) -> None:
    (reason,) = reasons(**changes)
    assert reason.about == about
    assert package in reason.package
    assert board in reason.board
    assert reason.fix


def test_the_first_skel_of_the_search_path_counts() -> None:
    right = Skel("/a/s.so", BUILD_ID, "DSP_LIBRARY_PATH")
    wrong = Skel("/b/s.so", OTHER_BUILD_ID, "ADSP_LIBRARY_PATH")
    assert reasons(skels=(right, wrong)) == []
    assert len(reasons(skels=(wrong, right))) == 1


def test_all_reasons_are_told_together() -> None:
    board = dataclasses.replace(BOARD, arch="x86_64", free=0, writable=False)
    with pytest.raises(MismatchError) as caught:
        fitness.check(DEVICE, board, MANIFEST, 1)
    for word in ("architecture", "folder", "disk space"):
        assert f"  {word}: the package needs" in caught.value.what


def test_colons_in_a_search_path_are_remarked_on() -> None:
    board = dataclasses.replace(BOARD, search={"ADSP_LIBRARY_PATH": "/a:/b"})
    (remark,) = fitness.remarks(board, MANIFEST)
    assert "semicolons" in remark
    board = dataclasses.replace(BOARD, search={"ADSP_LIBRARY_PATH": "/a;/b"})
    assert list(fitness.remarks(board, MANIFEST)) == []


def test_a_build_without_gate_is_remarked_on() -> None:
    facts = {**MANIFEST.facts, "accuracy": {"gate_applied": False}}
    (remark,) = fitness.remarks(BOARD, Manifest(facts, ()))
    assert "--no-gate" in remark


def test_a_numbered_fastrpc_is_linked_to_in_the_release() -> None:
    libraries = {"libcdsprpc.so.1": "/usr/lib/libcdsprpc.so.1", "libc.so.6": "/lib/libc.so.6"}
    board = dataclasses.replace(BOARD, libraries=libraries)
    assert list(fitness.refusals(DEVICE, board, MANIFEST)) == []
    assert fitness.links(board, MANIFEST) == {"lib/libcdsprpc.so": "/usr/lib/libcdsprpc.so.1"}
    assert fitness.links(BOARD, MANIFEST) == {}
    strange = {"libcdsprpc.so.1": "/usr/lib/a b/../libcdsprpc.so.1", "libc.so.6": "/lib/libc.so.6"}
    (reason,) = reasons(libraries=strange)
    assert reason.about == "library"


@pytest.mark.parametrize(
    ("changes", "board", "fix"),
    [
        (
            {"writable": False, "unwritable": "mktemp: /path: Read-only file system"},
            "read-only",
            "remount,rw",
        ),
        (
            {"writable": False, "unwritable": "mktemp: /path: Permission denied"},
            "no right",
            "install -d",
        ),
        ({"executable": False}, "noexec", "remount,exec"),
    ],
)
def test_a_folder_that_does_not_serve_says_which_way(
    changes: dict[str, Any], board: str, fix: str
) -> None:
    with pytest.raises(MismatchError) as caught:
        fitness.check(DEVICE, dataclasses.replace(BOARD, **changes), MANIFEST, 1)
    assert board in caught.value.what
    assert fix in caught.value.remedy
