"""Golden runs of networks with several outputs, on a board that is this machine."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scripts.boards import golden, install, measured, releases, upkeep
from scripts.boards.login import Login
from scripts.errors import DeviceError, GateError
from scripts.package.item import Entry
from scripts.package.manifest import Manifest
from tests.unit.boards.local import Local

OUTPUTS = {"cls": [1.0, 2.0, 3.0], "head": [4.0, -1.0], "patches": [0.5] * 5}
# Gives back the golden outputs as the runner does: of several, each in a file of the folder.
REMEDY = "what to do"
TIMES = json.dumps(dict.fromkeys(measured.TIMES, 10))
RUNNER = f"""#!/bin/sh
while [ "$1" != --output ]; do shift; done
mkdir "$2"
for name in cls head patches; do cat "golden/$name.raw" >"$2/$name.raw"; done
echo 'network: stand-in'
echo '{TIMES}'
"""


def _release(folder: Path, runner: str = RUNNER) -> tuple[Local, Manifest]:
    files = {"bin/dinov3-run": runner.encode(), "model/context.bin": b"context"}
    files["golden/input.raw"] = b"input"
    for name, values in OUTPUTS.items():
        files[f"golden/{name}.raw"] = np.array(values, "<f4").tobytes()
    roles = {"bin": "runner", "model": "context binary", "golden": "golden"}
    entries = []
    for path, content in files.items():
        (folder / "releases/one" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "releases/one" / path).write_bytes(content)
        (folder / "releases/one" / path).chmod(0o755)
        digest = hashlib.sha256(content).hexdigest()
        entries.append(Entry(path, len(content), "0755", digest, roles[path.split("/")[0]]))
    return Local(folder), Manifest({"name": "one"}, tuple(entries))


def _run(folder: Path, runner: str = RUNNER) -> golden.Golden:
    board, manifest = _release(folder, runner)
    assert golden.possible(manifest)
    return asyncio.run(golden.run(board, "releases/one", manifest, REMEDY))


def test_every_output_is_compared_with_its_own(tmp_path: Path) -> None:
    assert _run(tmp_path).cosine == 1


def test_an_output_that_is_nearly_the_same_is_not_said_to_be_the_same(tmp_path: Path) -> None:
    nearly = np.array([1.0, 2.0, 3.003], "<f4").tobytes()
    octal = "".join(f"\\{byte:03o}" for byte in nearly)
    line = f"\nprintf '{octal}' >\"$2/cls.raw\"\necho"
    assert _run(tmp_path, RUNNER.replace("\necho", line, 1)).cosine == 0.999999


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_worst_output_counts(tmp_path: Path, name: str) -> None:
    size = 4 * len(OUTPUTS[name])
    wrong = f'\nhead -c {size - 4} "golden/{name}.raw" >"$2/{name}.raw"\n'
    wrong += f'printf "\\000\\000\\300\\302" >>"$2/{name}.raw"\necho'
    with pytest.raises(GateError, match="gets it wrong"):
        _run(tmp_path, RUNNER.replace("\necho", wrong, 1))


def test_an_output_less_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"gives 32 bytes of output; .* has 40") as caught:
        _run(tmp_path, RUNNER.replace("\necho", '\nrm "$2/head.raw"\necho', 1))
    assert "of another network" in caught.value.cause
    assert caught.value.remedy == REMEDY


@asynccontextmanager
async def _open(board: Local, *_: object) -> AsyncIterator[Local]:
    yield board


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("install", ["left as it was", "`invoke package`"]),
        ("trial", ["left as it was", "run the sweep again"]),
        ("verify", ["`invoke rollback`", "deploy another archive"]),
    ],
)
def test_what_to_do_about_wrong_results_is_said_for_the_command_that_saw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, words: list[str]
) -> None:
    wrong = '\nrm "$2/head.raw"; head -c 8 /dev/zero >"$2/head.raw"\necho'
    board, manifest = _release(tmp_path, RUNNER.replace("\necho", wrong, 1))
    package = SimpleNamespace(digest="one", manifest=manifest)

    async def nothing(*_: object, **__: object) -> Any:
        return SimpleNamespace(current="one", releases={"one": 1})

    async def whole(*_: object) -> Any:
        return package

    for module in (install, upkeep):
        monkeypatch.setattr(module, "connected", lambda _: _open(board))
        monkeypatch.setattr(module, "locked", _open)
        monkeypatch.setattr(module, "survey", nothing)
    for name in ("_preflight", "_arrive", "_link"):
        monkeypatch.setattr(install, name, nothing)
    monkeypatch.setattr(upkeep, "_whole", whole)
    monkeypatch.setattr(releases, "remove", nothing)
    monkeypatch.setattr(releases, "is_of_deployment", lambda *_: True)
    login, shipment, say = Login(board.device), SimpleNamespace(package=package), print
    arguments: list[Any] = [login, say] if action == "verify" else [login, shipment, say, tmp_path]
    work: Any = upkeep.verify if action == "verify" else getattr(install, action)
    with pytest.raises(GateError, match="gets it wrong") as caught:
        asyncio.run(work(*arguments))
    assert all(word in caught.value.remedy for word in words)
