"""Sweeps of real builds: on this machine, and on a real cluster whose processes are killed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import ClusterError
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request
from scripts.source import ROOT
from tests import cluster as clusters
from tests import sshd
from tests.cluster import Cluster
from tests.pipeline.test_kill import containers

pytestmark = pytest.mark.pipeline

PRECISIONS = ("int8", "w8a16", "fp16")
GRID = f"[grid]\nprecision = {list(PRECISIONS)}\n"
NEAR = """
Host near
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/me
"""
VICTIMS = ("worker", "scheduler", "client")


@pytest.fixture(scope="session")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return clusters.surroundings(tmp_path_factory.mktemp("dask"))


@pytest.fixture
def expected(
    build: Callable[..., list[Done]], ask: Callable[..., Request]
) -> Callable[..., dict[str, str]]:
    """The SHA-256 of the archives that builds by themselves give, by precision."""

    def of(*precisions: str) -> dict[str, str]:
        archives = {}
        for precision in precisions:
            packed, request = build(precision=precision)[-1], ask(precision=precision)
            name = str(request.archive.relative_to(request.root))
            archives[precision] = packed.manifest["outputs"][name]["sha256"]
        return archives

    return of


def grid(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{folder.name}.toml"
    file.write_text(text)
    return file


def start(
    file: Path, build_dir: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "invoke", "sweep", str(file), "--json", *words]
    with (file.parent / "client.log").open("a") as log:
        return subprocess.Popen(
            [*command, "--build-dir", str(build_dir)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def ended(client: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Wait for a sweep; return its exit code and what it printed."""
    text, _ = client.communicate()
    return client.returncode, json.loads(text)


def archives(document: Mapping[str, Any]) -> dict[str, str]:
    return {row["options"]["precision"]: row["archive"]["sha256"] for row in document["rows"]}


def test_points_are_what_builds_by_themselves_are(
    build_dir: Path, expected: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    """What is whole comes from the store of all builds there."""
    alone = expected("int8")
    code, document = ended(start(grid(tmp_path, '[grid]\nprecision = "int8"\n'), build_dir))
    assert (code, archives(document)) == (0, alone)
    folder = build_dir / "sweeps" / tmp_path.name
    assert json.loads((folder / "sweep.json").read_text())["rows"] == document["rows"]
    page = (folder / "sweep.html").read_text()
    assert document["rows"][0]["report"].removeprefix(f"{folder}/") in page
    log = Path(document["rows"][0]["log"]).read_text()
    assert "quantize-int8: built before, taken from the store" in log


def test_a_cluster_that_is_not_there(dask: Mapping[str, str], tmp_path: Path) -> None:
    client = start(
        grid(tmp_path, GRID), tmp_path, "--scheduler", "tcp://127.0.0.1:1", environment=dask
    )
    code, document = ended(client)
    assert code == ClusterError.exit_code
    assert "There is no scheduler at tcp://127.0.0.1:1" in document["error"]["what"]


class Sweeping:
    """A sweep on a cluster, whose processes die and are started again."""

    def __init__(self, cluster: Cluster, file: Path, build_dir: Path) -> None:
        self.cluster, self.file, self.build_dir = cluster, file, build_dir
        self.start()

    def start(self) -> None:
        """Start what does not run, the client too."""
        self.cluster.complete(workers=2)
        self.client = start(
            self.file,
            self.build_dir,
            *("--scheduler", self.cluster.address),
            environment=self.cluster.environment,
        )

    def kill(self, victim: str, moment: float) -> None:
        """Kill a process at a moment after the start, and what cannot go on without it."""
        time.sleep(moment)
        if victim == "client":
            self.client.kill()
        else:
            self.cluster.running(victim)[0].kill()
        if victim != "worker":
            self.client.communicate()
            self.start()


def test_one_of_two_workers_dies_and_every_point_is_whole(
    builder: Builder,
    build_dir: Path,
    expected: Callable[..., dict[str, str]],
    dask: Mapping[str, str],
    tmp_path: Path,
) -> None:
    alone = expected("int8", "fp16")
    file = grid(tmp_path / "dying", '[grid]\nprecision = ["int8", "fp16"]\n')
    with clusters.running(tmp_path / "cluster", dask) as cluster:
        sweeping = Sweeping(cluster, file, build_dir)
        sweeping.kill("worker", moment=8)
        code, document = ended(sweeping.client)
        assert (code, archives(document)) == (0, alone), cluster.log
    assert containers(builder, build_dir) == []


@pytest.mark.slow
def test_hosts_over_ssh(
    build_dir: Path,
    expected: Callable[..., dict[str, str]],
    dask: Mapping[str, str],
    tmp_path: Path,
) -> None:
    """A host whose key is not known is refused; one that is known builds, and nothing is left."""
    alone, file = expected("int8"), grid(tmp_path / "hosts", '[grid]\nprecision = "int8"\n')
    hosts, home = tmp_path / "hosts.txt", tmp_path / ".ssh"
    hosts.write_text("near  # this very machine\n")
    home.mkdir()
    words, environment = ("--hosts", str(hosts)), {**dask, "HOME": str(tmp_path)}
    settings = f"SetEnv PYTHONPATH={dask.get('PYTHONPATH', '')}\n"
    with sshd.running(tmp_path, settings) as port:
        (home / "config").write_text(NEAR.format(port=port, folder=tmp_path))
        code, document = ended(start(file, build_dir, *words, environment=environment))
        assert code == ClusterError.exit_code and "not trusted" in document["error"]["what"]
        shutil.copy(tmp_path / "known", home / "known_hosts")
        code, document = ended(start(file, build_dir, *words, environment=environment))
        assert (code, archives(document)) == (0, alone)


@pytest.mark.slow
@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("victim", VICTIMS)
def test_whatever_dies_at_random_moments_every_point_ends_in_the_same_bytes(
    builder: Builder,
    build_dir: Path,
    expected: Callable[..., dict[str, str]],
    dask: Mapping[str, str],
    tmp_path: Path,
    victim: str,
    cold: bool,
) -> None:
    """Cold, stages run when their worker dies; warm, they are taken from the store."""
    alone, choice = expected(*PRECISIONS), random.Random(victim)
    folder, longest = (tmp_path / "build", 30) if cold else (build_dir, 12)
    with clusters.running(tmp_path / "cluster", dask) as cluster:
        sweeping = Sweeping(cluster, grid(tmp_path / victim, GRID), folder)
        for _ in range(4):
            sweeping.kill(victim, choice.uniform(1, longest))
            cluster.complete(workers=2)
        code, document = ended(sweeping.client)
        assert (code, archives(document)) == (0, alone), cluster.log
    assert "Traceback" not in (tmp_path / victim / "client.log").read_text()
    assert containers(builder, folder) == []
