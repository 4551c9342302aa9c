"""Build twice, in other folders and at other times, and compare every byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from scripts.console import Console, size
from scripts.errors import ReproducibilityError
from scripts.pipeline import plan
from scripts.pipeline.build import Builder
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store

_CHUNK = 1 << 22


def run(builder: Builder, request: Request) -> None:
    """Build from nothing in two folders, with other host names and umasks, and compare.

    Raises:
        ReproducibilityError: names the first file that differs, and the offset.
    """
    parent = request.build_dir / f"reproduce-{os.getpid()}"
    try:
        first = _build(builder, request, parent / "first", "one", 0o022)
        second = _build(builder, request, parent / "second" / "deeper", "two", 0o077)
        compared = list(compare(first, second))
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    _show(builder.console, compared)


def compare(first: Path, second: Path) -> Iterator[tuple[str, int]]:
    """Yield name and size of every artefact of two stores, once found to be equal.

    Raises:
        ReproducibilityError: an artefact is on one side only, or differs.
    """
    left, right = _outputs(first), _outputs(second)
    if lonely := sorted(set(left) ^ set(right)):
        raise ReproducibilityError(f"Only one of the two builds has {lonely[0]}.")
    for name in sorted(left):
        offset = first_difference(first / name, second / name)
        if offset is not None:
            raise ReproducibilityError(f"{name} differs at byte {offset}.")
        yield name, (first / name).stat().st_size


def first_difference(left: Path, right: Path) -> int | None:
    """Return the offset of the first differing byte of two files, or None where they are equal."""
    offset = 0
    with left.open("rb") as one, right.open("rb") as other:
        while True:
            a, b = one.read(_CHUNK), other.read(_CHUNK)
            if a != b:
                pairs = zip(a, b, strict=False)
                return offset + next(
                    (i for i, (x, y) in enumerate(pairs) if x != y), len(min(a, b))
                )
            if not a:
                return None
            offset += len(a)


def _build(builder: Builder, request: Request, folder: Path, hostname: str, umask: int) -> Path:
    fresh = replace(request, build_dir=folder)
    before = os.umask(umask)
    try:
        replace(builder, hostname=hostname).build(fresh, plan.stages(fresh))
    finally:
        os.umask(before)
    return fresh.root


def _outputs(root: Path) -> list[str]:
    store = Store(root)
    manifests = sorted((root / "manifests").glob("*.json"))
    found = [store.manifest(path.stem) or {"outputs": {}} for path in manifests]
    return [name for manifest in found for name in manifest["outputs"]]


def _show(console: Console, compared: list[tuple[str, int]]) -> None:
    shown = [row for row in compared if not row[0].endswith((".raw", ".png"))]
    console.table("equal, byte for byte", [(size(count), name) for name, count in shown])
    total = sum(count for _, count in compared)
    console.note(f"{len(compared)} files, {size(total)}: both builds gave the same bytes")
