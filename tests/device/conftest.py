"""Boards, and packages to deploy to them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.boards import install, measured
from scripts.package import package
from tests import packages
from tests.device import boards, system

RUNNER = b"""#!/bin/sh
# Stands in for the real runner: gives the golden output back.
while [ "$1" != --output ]; do shift; done
echo "inference: 510 us"
cat golden/output.raw > "$2"
shift 2
times='"p50_us": 520, "p90_us": 600, "p99_us": 700'
printf '{%s, "perf": "%s", "npu": "%s"}\\n' "$times" "$4" "${6:-none}"
"""


@dataclass(frozen=True)
class Archive:
    """A package to deploy, and the name a board gives it."""

    path: Path
    digest: str


@dataclass
class Bench:
    """Boards with a `devices.toml` that knows them."""

    file: Path
    key: Path

    def write(self, **devices: dict[str, Any]) -> None:
        """Write the file anew; values are as in TOML."""
        lines = []
        for name, table in devices.items():
            lines += [f"[devices.{name}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
        self.file.write_text("\n".join(lines) + "\n")

    def device(self, board: boards.Board, **changes: Any) -> dict[str, Any]:
        """Return the table of a board that is logged in to by key."""
        table = {"host": "127.0.0.1", "port": board.port, "user": boards.USER, "path": boards.DATA}
        table |= {"soc": "QCS9075", "host_key": board.host_key, "key": str(self.key)}
        return {name: value for name, value in (table | changes).items() if value is not None}


@pytest.fixture(scope="session", autouse=True)
def _system() -> Iterator[None]:
    """Nothing of SSH is left running, or would be started by itself, that was not before."""
    before = system.services()
    system.ready()
    yield
    assert system.services() == before


@pytest.fixture(autouse=True)
def _own_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(measured, "BUILD", tmp_path / "build")


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "SECONDS_BEFORE_RETRY", 0.05)


def new_bench(folder: Path) -> Bench:
    """Make a key and name the file for `devices.toml`, both in a folder."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return Bench(folder / "devices.toml", key)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return new_bench(tmp_path)


@pytest.fixture
def board(tmp_path: Path, bench: Bench) -> Iterator[boards.Board]:
    with boards.board(tmp_path / "board") as server:
        server.put("/etc/ssh/authorized_keys", bench.key.with_suffix(".pub").read_text())
        bench.write(bench=bench.device(server))
        yield server


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Archive]:
    """Return a maker of packages; one of the same arguments is made once."""
    known: dict[tuple[str, int], Archive] = {}

    def make(seed: str = "a", size: int = 40_000) -> Archive:
        if (seed, size) not in known:
            folder = tmp_path_factory.mktemp(f"package-{seed}-{size}")
            path = packages.package(folder, runner=RUNNER, size=size, seed=seed)
            known[seed, size] = Archive(path, package.check(path).digest)
        return known[seed, size]

    return make


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
