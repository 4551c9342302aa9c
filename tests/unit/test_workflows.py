"""The CI files keep the rules that their tools would hold us to; tests/pipeline runs zizmor."""

import re
from pathlib import Path

import pytest

import tasks
from scripts.source import ROOT
from tests import workflows

USES = re.compile(r"uses: (\S+)(.*)")
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
TASK = re.compile(r"\binvoke ([a-z][a-z.-]*)")


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def faults(text: str) -> list[str]:
    """What of a workflow is not pinned, allowed more than it needs, or open to injection."""
    steps = [
        use for use, rest in USES.findall(text) if not (PINNED.fullmatch(use) and "# v" in rest)
    ]
    if text.count("actions/checkout@") != text.count("persist-credentials: false"):
        steps.append("persist-credentials")
    if "\npermissions: {}\n" not in text or re.search(r": write(-all)?$", text, re.MULTILINE):
        steps.append("permissions")
    return steps + re.findall(r"run: .*\$\{\{.*", text)


@pytest.mark.parametrize("path", workflows.GITHUB, ids=names)
def test_a_workflow_is_pinned_and_allowed_no_more_than_it_needs(path: Path) -> None:
    assert not faults(path.read_text())


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4", "actions/checkout@v4"),
        ("persist-credentials: false", "persist-credentials: true", "persist-credentials"),
        ("permissions: {}", "permissions: read-all", "permissions"),
        ("contents: read", "contents: write", "permissions"),
        ("run: make venv", "run: echo ${{ github.head_ref }}", "run: echo ${{ github.head_ref }}"),
    ],
)
def test_a_fault_in_a_workflow_is_seen(right: str, wrong: str, fault: str) -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text().replace(right, wrong, 1)
    assert faults(text) == [fault]


@pytest.mark.parametrize("path", [*workflows.GITHUB, *workflows.GITLAB], ids=names)
def test_what_a_job_runs_is_there(path: Path) -> None:
    commands = workflows.commands(path)
    assert commands
    for command in commands:
        assert set(TASK.findall(command)) <= set(tasks.namespace.task_names)
        for name in re.findall(r"(?:tests|docker|examples)/[\w./-]+", command):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", workflows.GITLAB, ids=names)
def test_jobs_run_in_the_image_that_the_lane_pins(path: Path) -> None:
    lane = (ROOT / "docker/lanes/bookworm.toml").read_text()
    (image,) = re.findall(r"^ +image: (\S+)$", path.read_text(), re.MULTILINE)
    assert f'bootstrap_image = "{image}"' in lane


def test_both_services_run_the_same() -> None:
    github = [command for path in workflows.GITHUB[:2] for command in workflows.commands(path)]
    ours = {command for command in github if command.startswith((".venv/", "make build", "git "))}
    assert ours == set(workflows.commands(workflows.GITLAB[0]))
