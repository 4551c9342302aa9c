"""Builds at once, by two commands and by one: all end well, with the bytes that one has alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pytest

from scripts.pipeline import graph, owner, plan
from scripts.pipeline.build import Done
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store
from scripts.source import ROOT
from tests.pipeline.test_kill import digests

pytestmark = pytest.mark.pipeline

UNSHARE = ("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child")
# Of what a process is known by elsewhere, each machine has its own; the name can be the same.
MACHINE = (*UNSHARE, "sh", "-c", 'mount -t tmpfs none "$0" && hostname dinov3 && exec "$@"')
OTHERS = {
    "another pid namespace": lambda: (*UNSHARE, "--mount-proc"),
    "another machine of this name": lambda: (*MACHINE, str(owner.folder())),
}


@pytest.fixture
def copy(
    build: Callable[..., list[Done]], ask: Callable[..., Request], tmp_path: Path
) -> Callable[[str], Path]:
    """Make a copy of a build of two precisions, in a folder of a name."""
    for precision in ("int8", "w8a16"):
        build(precision=precision)

    def make(name: str) -> Path:
        copy = tmp_path / name / "digits"
        shutil.copytree(ask().root, copy, ignore=shutil.ignore_patterns(".partial", "boards"))
        return copy

    return make


def forget(root: Path, *stages: str) -> None:
    for name in stages:
        (root / "manifests" / f"{name}.json").unlink()


def start(root: Path, precision: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    options = ["--build-dir", str(root.parent), "--precision", precision]
    command = [*before, sys.executable, "-m", "invoke", "build", *options]
    # Another user has no home here.
    environment = {**os.environ, "HOME": str(root.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def end(*builds: subprocess.Popen[str]) -> list[str]:
    said = [building.communicate()[0] for building in builds]
    assert [building.returncode for building in builds] == [0] * len(builds), said
    assert "Traceback" not in "".join(said)
    return said


@pytest.mark.parametrize("second", [pytest.param("int8", marks=pytest.mark.slow), "w8a16"])
def test_of_one_model_the_second_waits_and_finds_what_the_first_made(
    copy: Callable[[str], Path], second: str
) -> None:
    root = copy("build")
    expected = digests(root)
    forget(root, "export", f"profile-{second}")
    with Store(root).lock():
        builds = [start(root, precision) for precision in ("int8", second)]
        for building in builds:
            line = next(line for line in building.stdout or () if "waiting" in line)
            assert f"(process {os.getpid()} on " in line
    said = end(*builds)
    for stage in ("export", f"profile-{second}"):
        assert sum(f"{stage} in " in text for text in said) == 1, said
    assert digests(root) == expected


def test_precisions_of_one_command_share_what_is_the_same(copy: Callable[[str], Path]) -> None:
    root = copy("build")
    expected, profiles = digests(root), ("profile-int8", "profile-w8a16")
    forget(root, "calibrate-calibration", *profiles)
    (said,) = end(start(root, "int8,w8a16"))
    for stage in ("calibrate-calibration", *profiles):
        assert said.count(f"done  {stage} in ") == 1, said
    assert said.count("same  export") == 1
    table = said[said.index("digits, iq9075") :].splitlines()[2:4]
    assert [row.split()[:2] for row in table] == [["int8", "whole"], ["w8a16", "whole"]]
    assert digests(root) == expected


@pytest.mark.parametrize("precision", ["int8", "w8a16"])
def test_a_stage_waits_for_all_that_made_what_it_reads(
    build: Callable[..., list[Done]], ask: Callable[..., Request], precision: str
) -> None:
    """By what they say that they make; their manifests have what they made."""
    by_stage = {done.stage.name: done.manifest["outputs"] for done in build(precision=precision)}
    tasks = graph.tasks(build_request := ask(precision=precision), plan.stages(build_request))
    names = {task.key: task.stage.name for task in tasks}
    for task in tasks:
        read = {
            maker
            for maker, outputs in by_stage.items()
            for path in task.stage.inputs
            if any(PurePosixPath(output).is_relative_to(path) for output in outputs)
        }
        assert read == {names[key] for key in task.needs}, task.stage.name


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS)
def test_the_other_comes_from_elsewhere(copy: Callable[[str], Path], other: str) -> None:
    """Folders are two, the engine is one: nobody sweeps what the other runs."""
    before = OTHERS[other]()
    if subprocess.run([*before, sys.executable, "-c", "1"], cwd=ROOT, check=False).returncode:
        pytest.skip("this user may not make namespaces")
    roots = [copy("ours"), copy("theirs")]
    expected = digests(roots[0])
    for root in roots:
        forget(root, "export", "quantize-int8", "verify-int8")
    end(start(roots[0], "int8"), start(roots[1], "int8", before))
    assert [digests(root) for root in roots] == [expected] * 2
