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
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        found = wheels.download(locks.CLUSTER, here, BuildLog(folder / "fetch.log"))
    except ImageBuildError as error:
        pytest.skip(f"no Dask: {error}")
    command = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--require-hashes", "--find-links", str(found), "--target", str(folder / "dask")]
    command += ["-r", str(locks.CLUSTER)]
    subprocess.run(command, check=True, env=pip_settings.FIXED)
    return {**os.environ, "PYTHONPATH": str(folder / "dask")}


@dataclass
class Cluster:
    """Processes of Dask; `log` is what all of them say."""

    folder: Path
    environment: Mapping[str, str]
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What all processes said."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program of Python's in this environment."""
        log = self.folder / f"{len(self.processes)}.log"
        command = [sys.executable, "-m", *words]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )
        self.processes.append(process)
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        """Start a scheduler, and wait until it has an address."""
        file = self.folder / f"scheduler-{len(self.processes)}.json"
        words = ["dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        process = self.start([*words, "--scheduler-file", str(file)])
        until(lambda: file.is_file() and bool(file.read_text()), self)
        self.address = json.loads(file.read_text())["address"]
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker of the scheduler."""
        words = ["dask", "worker", self.address, "--no-nanny", "--no-dashboard", "--nthreads", "2"]
        words += ["--host", "127.0.0.1", "--local-directory", str(self.folder)]
        return self.start([*words, "--preload", "scripts.sweep.worker"])

    def stop(self) -> None:
        """Kill all that runs."""
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def running(folder: Path, environment: Mapping[str, str], workers: int) -> Iterator[Cluster]:
    """Yield a cluster with so many workers, and leave nothing of it."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, environment)
    try:
        cluster.scheduler()
        for _ in range(workers):
            cluster.worker()
        yield cluster
    finally:
        cluster.stop()


def until(holds: Callable[[], bool], cluster: Cluster) -> None:
    """Wait until something holds, at most a minute."""
    end = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < end, cluster.log
        time.sleep(0.05)
