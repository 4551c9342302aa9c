"""What a command loads before it knows what to do: libraries cost more than a build at rest."""

import subprocess
import sys

import pytest

from scripts.source import ROOT

# Of SSH, bills of materials, registries, pages, pictures, libraries, numbers.
HEAVY = {"asyncssh", "cyclonedx", "oras", "jinja2", "PIL", "elftools", "numpy"}
# What a build that has nothing to do asks all the same.
ENGINE = {"docker", "requests"}


@pytest.mark.parametrize(
    ("modules", "left_out"),
    [
        ("tasks", HEAVY | ENGINE),
        ("tasks, scripts.pipeline.session", HEAVY),
    ],
    ids=["help", "build"],
)
def test_a_command_loads_only_what_it_works_with(modules: str, left_out: set[str]) -> None:
    program = f"import sys, {modules}; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not left_out & {*loaded.split()}
