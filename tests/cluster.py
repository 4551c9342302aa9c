"""A scheduler of Dask and workers, each a process of its own on the loopback, that tests may kill.

Dask is no part of the host's environment: it comes from its own lock, into a folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts import pip_settings
from scripts.errors import ImageBuildError
from scripts.image import locks, wheels
from scripts.image.buildlog import BuildLog
from scripts.image.wheels import Platform
from scripts.source import ROOT

_SECONDS = 60


def surroundings(folder: Path) -> dict[str, str]:
    """Return an environment in which Python has Dask; skip the test where that cannot be had."""
    if importlib.util.find_spec("distributed"):
        return dict(os.environ)
    here = Platform(".".join(platform.python_version_tuple()[:2]), platform.machine(), "2.28")
    try:
        folder_of_wheels = wheels.download(locks.CLUSTER, here, BuildLog(folder / "fetch.log"))
    except ImageBuildError as error:
        pytest.skip(f"no Dask: {error}")
    command = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += [
        "--require-hashes",
        "--find-links",
        str(folder_of_wheels),
        "--target",
        str(folder / "dask"),
    ]
    command += ["-r", str(locks.CLUSTER)]
    subprocess.run(command, check=True, env=pip_settings.FIXED)
    return {**os.environ, "PYTHONPATH": str(folder / "dask")}


@dataclass
class Cluster:
    """Processes of Dask by kind, in an environment that has it; their logs are in `folder`."""

    folder: Path
    environment: Mapping[str, str]
    address: str = ""
    processes: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What all processes said."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def running(self, kind: str) -> list[subprocess.Popen[bytes]]:
        """The processes of a kind, `scheduler` or `worker`, that run."""
        return [process for name, process in self.processes if name == kind and not ended(process)]

    def complete(self, workers: int) -> None:
        """Start a scheduler and workers where they are missing."""
        if not self.running("scheduler"):
            for worker in self.running("worker"):  # they end by themselves, some time
                worker.kill()
                worker.wait()
            self._scheduler()
        for _ in range(workers - len(self.running("worker"))):
            self._worker()

    def stop(self) -> None:
        """Kill all that runs."""
        for _, process in self.processes:
            process.kill()
            process.wait()

    def _scheduler(self) -> None:
        file = self.folder / f"scheduler-{len(self.processes)}.json"
        self._start("scheduler", "--port", "0", "--scheduler-file", str(file))
        until(lambda: file.is_file() and bool(file.read_text()), self)
        self.address = json.loads(file.read_text())["address"]

    def _worker(self) -> None:
        words = (self.address, "--no-nanny", "--preload", "scripts.sweep.worker")
        self._start("worker", *words, "--local-directory", str(self.folder))

    def _start(self, kind: str, *words: str) -> None:
        log = self.folder / f"{len(self.processes)}-{kind}.log"
        command = [sys.executable, "-m", "dask", kind, "--host", "127.0.0.1", "--no-dashboard"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *words], cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )
        self.processes.append((kind, process))


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Yield a cluster that has nothing yet, and leave nothing of it."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, environment)
    try:
        yield cluster
    finally:
        cluster.stop()


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has ended."""
    return process.poll() is not None


def until(holds: Callable[[], bool], cluster: Cluster) -> None:
    """Wait until something holds, at most a minute."""
    end = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < end, cluster.log
        time.sleep(0.05)
