"""CI as files: zizmor finds nothing in them, and the example's commands build a model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import catalog
from scripts.pipeline.build import Done
from scripts.pipeline.request import Request
from scripts.source import ROOT
from tests import lessons, workflows

pytestmark = pytest.mark.pipeline
EXAMPLE = ROOT / "examples" / "ci"


@pytest.fixture(scope="module")
def zizmor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """zizmor as the lock has it, in an environment of its own."""
    folder = tmp_path_factory.mktemp("zizmor")
    venv.create(folder, with_pip=True)
    install = ["-I", str(ROOT / "scripts/pip_settings.py"), "install", "--quiet"]
    lock = ["--require-hashes", "--only-binary=:all:", "-r", str(ROOT / ".github/zizmor.txt")]
    subprocess.run([str(folder / "bin/python"), *install, *lock], check=True)
    return folder / "bin/zizmor"


def audit(zizmor: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    command = [str(zizmor), "--offline", "--pedantic", "--no-progress", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_zizmor_finds_nothing(zizmor: Path, tmp_path: Path) -> None:
    copy = tmp_path / ".github/workflows/model.yml"
    copy.parent.mkdir(parents=True)
    copy.write_text((EXAMPLE / "github.yml").read_text())
    done = audit(zizmor, ROOT / ".github", copy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_sees_a_fault(zizmor: Path, tmp_path: Path) -> None:
    workflow = tmp_path / ".github/workflows/ci.yml"
    workflow.parent.mkdir(parents=True)
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    workflow.write_text(text.replace("run: make venv", "run: echo ${{ github.head_ref }}"))
    done = audit(zizmor, workflow)
    assert done.returncode and "template-injection" in done.stdout


@pytest.fixture(scope="module")
def team(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A team's repository: this one as a submodule, the weights of digits, and pictures."""
    build()
    folder = tmp_path_factory.mktemp("team")
    (folder / "dinov3-qnn").mkdir()
    lessons.copy_of_repository(folder / "dinov3-qnn")
    shutil.copytree(ROOT / "scripts/catalog/digits", folder / "model")
    shutil.copytree(ask().root / "images/digits/heldout", folder / "pictures")
    return folder


@pytest.mark.slow
def test_the_example_builds_a_model_from_a_teams_repository(team: Path) -> None:
    (commands, variables), other = (
        (workflows.commands(path), workflows.variables(path))
        for path in (EXAMPLE / "github.yml", EXAMPLE / "gitlab.yml")
    )
    assert (commands, variables) == (other[0], {key: other[1][key] for key in variables})
    printed = "".join(lessons.run(command, team, variables) for command in commands)
    report = json.loads((team / "out/report.json").read_text())
    assert "files, all whole" in printed, printed
    assert report["verify"]["figures"]["cls_mean"] >= catalog.precisions()["int8"].gate["cls_mean"]
    sums = lessons.run("sha256sum -c SHA256SUMS && ls", team / "out")
    assert sums.startswith("./dinov3_digits_int8_iq9075.tar.gz: OK\n"), sums


@pytest.mark.slow
def test_the_example_fails_where_the_build_does(team: Path) -> None:
    variables = {**workflows.variables(EXAMPLE / "github.yml"), "PICTURES": "model"}
    (command,) = workflows.commands(EXAMPLE / "github.yml")
    printed = lessons.run(f"{command} || echo exit code $?", team, {**variables, "OUT": "failed"})
    assert re.search(r"exit code \d+\n$", printed), printed
    assert not list((team / "failed").glob("*.tar.gz"))
