"""A job on this machine: a process of its own, and what came of it as plain data."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import errors, source
from scripts.errors import PipelineError, UsageError
from scripts.pipeline import cas
from scripts.source import ROOT
from scripts.sweep import jobs
from scripts.sweep.jobs import Job
from scripts.sweep.point import JOBS

# What of a command's document is of use to a table.
_USEFUL = ("archive", "error", "profile", "report", "stages", "synthetic", "verify")


@dataclass(frozen=True)
class Outcome:
    """How a job ended, small enough to travel: what was built stays where it is.

    `document` is what the command said of its result as JSON, with `error` where it failed.
    """

    machine: str
    seconds: float
    document: Mapping[str, Any]

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The class, exit code, what, cause and remedy of a failure."""
        return self.document.get("error")


def run(job: Job, before: Outcome | None, lifeline: int) -> Outcome:
    """Run a job to its end; one whose job before it failed ends as that one did.

    Args:
        job: what to run.
        before: how the job that it waits for ended, if there is one.
        lifeline: a descriptor as of `attached.lifeline`, with which the command ends.
    """
    if before and before.error:
        return before
    started = time.monotonic()
    try:
        _require_same_code(job)
        _prepare(job.folder)
        document = _run(job, lifeline)
    except (PipelineError, OSError) as error:
        document = {"error": record(error)}
    useful = {name: document[name] for name in _USEFUL if name in document}
    return Outcome(socket.gethostname(), round(time.monotonic() - started, 1), useful)


def lost(error: PipelineError) -> Outcome:
    """Return the outcome of a job whose machine never said how it ended."""
    return Outcome("", 0.0, {"error": record(error)})


def code() -> str:
    """Return the digest of the stages here as they are now: a worker may be older than an edit."""
    source.forget()
    return jobs.code()


def _require_same_code(job: Job) -> None:
    if code() != job.code:
        raise UsageError(
            f"{ROOT} on {socket.gethostname()} has other stages than where the sweep was started.",
            cause="another commit is checked out there, or a file was edited",
            remedy="check out the same commit on all machines",
        )


def _prepare(folder: Path) -> None:
    """Make the folder of a point, whose results are kept with those of all builds here."""
    everyone = folder.parents[2] / cas.NAME
    everyone.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        (folder / cas.NAME).symlink_to(os.path.relpath(everyone, folder))


def _run(job: Job, lifeline: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "scripts.sweep.attached", *job.words, f"--{JOBS}=1", "--json"]
    with job.log.open("wb") as log:
        done = subprocess.run(
            command, cwd=ROOT, stdin=lifeline, stdout=subprocess.PIPE, stderr=log, check=False
        )
    with suppress(ValueError):
        return dict(json.loads(done.stdout))
    return {"error": record(_silent(job, done.returncode))}


def _silent(job: Job, code: int) -> PipelineError:
    """Return the error of a command that ended without a word."""
    return errors.StageError(
        f"`invoke {job.words[0]}` ended with {code} before it could say why.",
        cause="it was killed, by the kernel for want of memory as a rule",
        remedy=f"see {job.log}; run the same sweep again",
    )


def record(error: Exception) -> dict[str, Any]:
    """Return an error as plain data: its class, exit code, what, cause and remedy."""
    named = errors.named(error) or PipelineError(str(error))
    said = {"what": named.what, "cause": named.cause, "remedy": named.remedy}
    return {"class": type(named).__name__, "exit_code": named.exit_code, **said}
