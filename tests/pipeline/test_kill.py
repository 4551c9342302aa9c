"""A build that is killed at any moment costs no more than the stage that it was in."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import artefacts
from scripts.pipeline import cas
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.cas import Manifest
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store
from scripts.source import ROOT

pytestmark = pytest.mark.pipeline
# What a store keeps for itself.
OWN = {".lock", ".digests.json", "manifests"}
# Written on the host, and in no manifest: it has the clock in it.
PAGE = str(artefacts.build_page("int8"))
SLOW = [pytest.param(seed, 50, marks=pytest.mark.slow) for seed in range(1, 5)]


@pytest.fixture
def copy(build: Callable[..., list[Done]], ask: Callable[..., Request], tmp_path: Path) -> Path:
    """A whole build of digits in one precision, in a folder of its own."""
    stages = {done.stage.name for done in build()}
    copy = tmp_path / "digits"
    shutil.copytree(ask().root, copy, ignore=shutil.ignore_patterns(".partial", "boards"))
    for stage, manifest in manifests(copy).items():
        if stage not in stages:
            (copy / "manifests" / f"{stage}.json").unlink()
            for name in manifest["outputs"]:
                (copy / name).unlink()
    return copy


def start(root: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "invoke", "build", "--build-dir", str(root.parent)]
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)


def manifests(root: Path) -> dict[str, Manifest]:
    """The manifests of the stages that are whole."""
    store = Store(root)
    names = sorted(path.stem for path in (root / "manifests").glob("*.json"))
    return {name: manifest for name in names if (manifest := store.manifest(name))}


def digests(root: Path) -> dict[str, str]:
    outputs = (manifest["outputs"].items() for manifest in manifests(root).values())
    return {name: output["sha256"] for items in outputs for name, output in items}


def files(root: Path) -> set[str]:
    """Every file but the store's own."""
    paths = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir())
    return {str(path) for path in paths if path.parts[0] not in OWN}


def containers(builder: Builder, root: Path) -> list[str]:
    """The containers that see a folder."""
    everyone = builder.client.api.containers(all=True)
    return [entry["Id"] for entry in everyone if str(root) in json.dumps(entry["Mounts"])]


def kill_once(root: Path, log: Path, seconds: dict[str, float], choice: random.Random) -> None:
    """Build what is missing, of a whole build a random stage, and kill it at a random moment.

    `seconds` are the stages' times: the longest one missing has a fair chance to end.
    """
    missing = set(seconds) - set(manifests(root))
    if not missing:
        missing = {choice.choice(sorted(seconds))}
        (root / "manifests" / f"{min(missing)}.json").unlink()
        if choice.random() < 0.5:  # it is not taken from the store either
            shutil.rmtree(root.parent / cas.NAME, ignore_errors=True)
    building = start(root, log)
    try:
        moment = choice.uniform(0, 3 + 1.5 * max(seconds[name] for name in missing))
        assert building.wait(timeout=moment) == 0, log.read_text()
    except subprocess.TimeoutExpired:
        building.kill()
        building.wait()


def whole(root: Path) -> Iterator[str]:
    """Yield what a manifest promises and the disk does not hold."""
    store = Store(root)
    for path in (root / "manifests").glob("*.json"):
        yield from store.damaged(path.stem)


@pytest.mark.parametrize(("seed", "moments"), [(0, 10), *SLOW])
def test_killed_at_random_moments_the_next_build_ends_with_the_same_bytes(
    builder: Builder, copy: Path, tmp_path: Path, seed: int, moments: int
) -> None:
    expected, choice, log = digests(copy), random.Random(seed), tmp_path / "log"
    seconds = {name: manifest["seconds"] for name, manifest in manifests(copy).items()}
    for _ in range(moments):
        kill_once(copy, log, seconds, choice)
        assert not list(whole(copy))
    ended = start(copy, log)
    assert ended.wait() == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert digests(copy) == expected
    assert files(copy) - {PAGE} == set(expected)
    assert containers(builder, copy) == []


def test_the_orphan_of_a_killed_build_is_gone_before_its_folder_is_touched(
    builder: Builder, copy: Path, tmp_path: Path
) -> None:
    """Export takes long enough to be killed for certain while its container writes."""
    log = tmp_path / "log"
    (copy / "manifests" / "export.json").unlink()
    building = start(copy, log)
    while not containers(builder, copy):
        assert building.poll() is None, log.read_text()
        time.sleep(0.1)
    building.kill()
    building.wait()
    (orphan,) = containers(builder, copy)
    again = start(copy, log)
    partial = copy / ".partial"
    before = set(partial.iterdir())
    while set(partial.iterdir()) == before:
        assert again.poll() is None, log.read_text()
        time.sleep(0.05)
    assert orphan not in containers(builder, copy)
    assert again.wait() == 0, log.read_text()
    assert "Traceback" not in log.read_text()
