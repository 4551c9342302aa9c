"""Jobs on the workers of a Dask cluster: one that is there, or one on hosts reached over SSH.

Only jobs and their outcomes travel through the scheduler, a few kilobytes each. What is built goes
from machine to machine through the shared cache, or through a build folder that they share.
"""

from __future__ import annotations

import importlib.util
import logging
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scripts.errors import ClusterError, StageError, UsageError, reason
from scripts.source import ROOT
from scripts.sweep import machine
from scripts.sweep.attached import lifeline
from scripts.sweep.jobs import Job
from scripts.sweep.machine import Outcome
from scripts.sweep.worker import BUILDS, MEMORY

if TYPE_CHECKING:
    from distributed import Client, Future

_SCHEMES = ("tcp://", "tls://")
_SECONDS = 30
# Of a scheduler whose address names none.
_PORT = 8786
# A scheduler of ours whose client was killed ends by itself, and its workers with it.
_IDLE = "10 minutes"
_PRELOAD = "scripts.sweep.worker"
Say = Callable[[str], None]
Ended = Iterator[tuple[Job, Outcome]]
Runner = Callable[[Sequence[Job]], Ended]


def at(address: str, say: Say) -> Runner:
    """Return what runs jobs on the workers of a scheduler.

    Args:
        address: of the scheduler, `tcp://host:port` or `tls://host:port`.
        say: is told what a user should know.

    Raises:
        UsageError: Dask is not installed, or that is no address.
    """
    _require_dask()
    if not _is_address(address):
        raise UsageError(f"--scheduler {address}: must be an address: tcp://HOST:PORT.")
    return lambda jobs: _at(address, jobs, say)


def _is_address(text: str) -> bool:
    """Tell whether a text is an address with a host, and a port that there can be if it has one."""
    try:
        parts = urlsplit(text)
        return text.startswith(_SCHEMES) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def on(file: Path, say: Say) -> Runner:
    """Return what runs jobs on hosts that have this checkout at the same path.

    Args:
        file: has the hosts, one a line as ssh knows it; the first has the scheduler, too.
        say: is told what a user should know.

    Raises:
        UsageError: Dask is not installed, or the file names no host.
    """
    _require_dask()
    names = hosts(file)
    return lambda jobs: _over_ssh(names, jobs, say)


def hosts(file: Path) -> list[str]:
    """Return the hosts of a file: one a line, empty lines and what follows a # left out.

    Raises:
        UsageError: it cannot be read, or names none.
    """
    try:
        lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(f"--hosts {file} cannot be read: {error}.") from None
    if not any(lines):
        raise UsageError(f"--hosts {file} names no host.", remedy="one a line, as ssh knows it")
    return [line for line in lines if line]


def _require_dask() -> None:
    if not importlib.util.find_spec("distributed"):
        raise UsageError(
            "Dask is not installed, which --scheduler and --hosts need.",
            remedy="run `make cluster`, on every machine; without them, a sweep runs on this one",
        )
    logging.disable()  # every step, and what is said below in words


def _at(address: str, jobs: Sequence[Job], say: Say) -> Ended:
    from distributed import Client

    try:
        _knock(address)
        client = Client(address, timeout=_SECONDS)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"There is no scheduler at {address}: {reason(error)}.",
            remedy="start one with `.venv/bin/python -m dask scheduler`, or mend the address",
        ) from None
    with client, _there(address):
        yield from _on_workers(client, jobs, say)


def _knock(address: str) -> None:
    """Ask whether somebody listens there: Dask's client asks on until its time is over."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port or _PORT), _SECONDS):
        pass


def _over_ssh(hosts: Sequence[str], jobs: Sequence[Job], say: Say) -> Ended:
    from distributed import Client

    with _cluster(hosts) as cluster, Client(cluster) as client, _there(hosts[0]):
        yield from _on_workers(client, jobs, say)


def _cluster(hosts: Sequence[str]) -> Any:
    from distributed import SSHCluster

    try:
        return SSHCluster(
            [hosts[0], *hosts],
            remote_python=f"env -C {shlex.quote(str(ROOT))} .venv/bin/python",
            scheduler_options={"port": 0, "dashboard": False, "idle_timeout": _IDLE},
            worker_options={"preload": [_PRELOAD]},
        )
    except Exception as error:
        raise ClusterError(
            f"No cluster on {', '.join(hosts)}: {reason(error)}.",
            cause=f"a host whose key ssh does not know, or that has no {ROOT}, or no Dask there",
            remedy="`ssh HOST` once; the same checkout at the same path, and `make cluster` in it",
        ) from None


def _on_workers(client: Client, jobs: Sequence[Job], say: Say) -> Ended:
    from distributed import as_completed

    _require_workers(client, jobs, say)
    largest = _largest(client)
    futures: dict[str, Future] = {}
    for job in jobs:
        needs = {MEMORY: min(job.memory, largest), BUILDS: 1}
        before = futures.get(job.after)
        futures[job.key] = client.submit(_work, job, before, key=job.key, resources=needs)
    names = {job.key: job for job in jobs}
    for future in as_completed(futures.values()):
        yield names[future.key], _outcome(future)


@contextmanager
def _there(place: str) -> Iterator[None]:
    """Say what Dask raises where its scheduler goes away: it may do so at any moment."""
    try:
        yield
    except (OSError, CancelledError):
        raise ClusterError(
            f"The scheduler at {place} went away.",
            cause="it was ended or restarted, or the network to it broke",
            remedy="the same command goes on where this one ended, once there is one again",
        ) from None


def _require_workers(client: Client, jobs: Sequence[Job], say: Say) -> None:
    """Wait for a worker, and refuse those that would build by other stages."""
    if not client.scheduler_info()["workers"]:
        say("waiting for a worker")
        client.wait_for_workers(1)
    for address, code in client.run(machine.code).items():
        if code != jobs[0].code:
            raise ClusterError(
                f"The worker {address} has other stages than are here.",
                cause="another commit is checked out there, or a file was edited",
                remedy="check out the same commit on all machines",
            )


def _largest(client: Client) -> float:
    """Return the bytes that the largest worker declares."""
    workers = client.scheduler_info()["workers"].values()
    declared = [worker["resources"].get(MEMORY, 0) for worker in workers]
    if not max(declared):
        raise ClusterError(
            "The workers there declare no memory, so no build would ever start.",
            remedy=f"start them in the checkout with --preload {_PRELOAD}",
        )
    return float(max(declared))


def _work(job: Job, before: Outcome | None) -> Outcome:
    """Run a job where a worker is; it ends with the worker."""
    with lifeline() as stdin:
        return machine.run(job, before, stdin)


def _outcome(future: Future) -> Outcome:
    """Return how a job ended, also where Dask gave it up.

    Raises:
        CancelledError: the scheduler forgot it, or is gone.
    """
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status != "error":
        raise CancelledError
    error = StageError(
        f"Dask gave it up: {future.exception()}.",
        cause="every worker that had it ended: machines that go down, or run out of memory",
        remedy="see the workers' logs; run the same sweep again",
    )
    return machine.lost(error)
