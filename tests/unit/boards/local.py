"""A board that is this machine: its scripts are run here, by a shell of one's choice."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.boards.board import Board, Outcome
from scripts.boards.devices import Device

# Before each simple command, also in loops, functions and subshells; the counter outlives those.
_STEP = "printf . >>{0}; read -r -N 9999 steps <{0} || :; [ ${{#steps}} -le {1} ] || kill -9 0"


class Local(Board):
    """Runs each script by `shell`; from its step `cut` on, it is dead."""

    def __init__(
        self,
        folder: Path,
        shell: Sequence[str] = ("sh",),
        environment: dict[str, str] | None = None,
        keep: int = 3,
    ) -> None:
        self.device = Device("here", "host", "user", str(folder), keep=keep)
        self.cut: int | None = None
        self._shell = shell
        self._environment = {"PATH": "/usr/bin:/bin", **(environment or {})}
        self._programs = folder.with_name(f"{folder.name}.programs")
        self._counter = folder.with_name(f"{folder.name}.steps")

    async def _execute(
        self, line: str, pieces: Iterable[bytes], seconds: float, limit: int
    ) -> Outcome:
        return await asyncio.to_thread(self._run, line, b"".join(pieces))

    def _run(self, line: str, content: bytes) -> Outcome:
        _, option, text, *arguments = shlex.split(line)
        shell = self._shell if self.cut is None else ("bash",)
        done = subprocess.run(
            [*shell, option, self._trap() + text, *arguments],
            input=content,
            capture_output=True,
            env={**self._environment, "PATH": f"{self._quick()}:{self._environment['PATH']}"},
            start_new_session=True,
            check=False,
        )
        return Outcome(done.stdout, done.stderr, done.returncode)

    def _quick(self) -> Path:
        """Return a folder with a `sync` that does not wait for the disks of this machine."""
        program = self._programs / "sync"
        if not program.exists():
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text("#!/bin/sh\n")
            program.chmod(0o755)
        return self._programs

    def _trap(self) -> str:
        if self.cut is None:
            return ""
        self._counter.write_bytes(b"")
        return f"set -T; trap '{_STEP.format(self._counter, self.cut)}' DEBUG\n"


def shells() -> list[Sequence[str]]:
    """The POSIX shells of this machine."""
    known: list[Sequence[str]] = [("dash",), ("bash", "--posix"), ("busybox", "sh")]
    return [shell for shell in known if shutil.which(shell[0])]


def release(board: Board, seed: str, suffix: str = "") -> str:
    """Put a small release on the board, return its digest."""
    files = {"bin/run": f"run {seed}", "lib/libskel.so": f"skel {seed}", "same": "in all of them"}
    sums = "".join(f"{_sha256(text)}  {path}\n" for path, text in files.items())
    folder = Path(board.device.path) / "releases" / f"{_sha256(sums)}{suffix}"
    for path, text in {**files, "SHA256SUMS": sums}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return _sha256(sums)


def is_whole(board: Board, digest: str) -> bool:
    """Return whether every file of a release is what its `SHA256SUMS` says, and no other is."""
    folder = Path(board.device.path) / "releases" / digest
    if not (folder / "SHA256SUMS").is_file():
        return False
    sums = (folder / "SHA256SUMS").read_text()
    hashes = {path: hash for hash, path in (line.split("  ") for line in sums.splitlines())}
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}
    return (
        _sha256(sums) == digest
        and files == {*hashes, "SHA256SUMS"}
        and all(_sha256((folder / path).read_text()) == hashes[path] for path in hashes)
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
