"""Lessons that run: the commands of `examples/*/README.md`, held against the output shown there.

A block marked `console` has commands behind `$ `, each with its output below it. In the output a
line `...` stands for any lines, and `...` inside a line for any characters.

    python -m tests.lessons examples/01-digits-in-a-minute FOLDER

runs a lesson in a copy of the repository in FOLDER and prints what its commands print.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.source import ROOT

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One command of a lesson, and the output that the lesson shows."""

    command: str
    output: str


def steps(readme: Path) -> list[Step]:
    """Return the commands of a lesson in order."""
    blocks = _BLOCK.findall(readme.read_text())
    return [step for block in blocks for step in _steps(block)]


def _steps(block: str) -> Iterator[Step]:
    first, *commands = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert not first, f"a block that begins without a command: {first!r}"
    for text in commands:
        lines = text.splitlines()
        length = next(n for n, line in enumerate(lines, 1) if not line.endswith("\\"))
        yield Step("\n".join(lines[:length]), "\n".join(lines[length:]))


def matches(shown: str, printed: str) -> bool:
    """Tell whether what a command printed is what the lesson shows."""
    return re.fullmatch(_pattern(shown), _stripped(printed)) is not None


def _pattern(shown: str) -> str:
    lines = []
    for line in _stripped(shown).splitlines():
        parts = map(re.escape, line.split("..."))
        lines.append(r"(?:.*\n)*?" if line == "..." else "[^\n]*".join(parts) + r"\n")
    return "".join(lines)


def _stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def copy_of_repository(folder: Path) -> Path:
    """Return a folder with the files that git knows here, as they are now, and the environment."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listing.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def run(command: str, folder: Path, variables: Mapping[str, str] | None = None) -> str:
    """Return all that a command prints, run as a user would in the repository."""
    path = os.pathsep.join([str(folder / ".venv" / "bin"), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", **(variables or {})}
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI"):
        environment.pop(name, None)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def main(lesson: str, place: str) -> None:
    """Run a lesson and print what it prints."""
    folder = Path(place)
    if not folder.exists():
        folder.mkdir(parents=True)
        copy_of_repository(folder)
    for step in steps(ROOT / lesson / "README.md"):
        printed = run(step.command, folder)
        print(f"$ {step.command}\n{printed}", end="", flush=True)
        if not matches(step.output, printed):
            print("^ NOT AS SHOWN", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
