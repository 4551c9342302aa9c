"""Build twice, in other folders and at other times, and compare every byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scripts.console import Console, size
from scripts.errors import ReproducibilityError
from scripts.pipeline import plan, summary
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
        first = _build(builder, request, parent / "first", "host-a", 0o022)
        second = _build(builder, request, parent / "second" / "deeper", "host-b", 0o077)
        files = list(compare(first, second))
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    _show(builder.console, files)


def compare(first: Path, second: Path) -> Iterator[tuple[str, int]]:
    """Yield name and size of every artefact of two stores, once it is equal in both.

    Raises:
        ReproducibilityError: an artefact is on one side only, or differs.
    """
    left, right = _outputs(first), _outputs(second)
    if unmatched := sorted(set(left) ^ set(right)):
        raise ReproducibilityError(f"Only one of the two builds has {unmatched[0]}.")
    for name in sorted(left):
        offset = first_difference(first / name, second / name)
        if offset is not None:
            raise ReproducibilityError(f"{name} differs at byte {offset}.")
        yield name, (first / name).stat().st_size


def first_difference(left: Path, right: Path) -> int | None:
    """Return the offset of the first differing byte of two files, or None where they are equal."""
    offset = 0
    with left.open("rb") as left_file, right.open("rb") as right_file:
        while True:
            left_chunk, right_chunk = left_file.read(_CHUNK), right_file.read(_CHUNK)
            if left_chunk != right_chunk:
                return offset + _common_length(left_chunk, right_chunk)
            if not left_chunk:
                return None
            offset += len(left_chunk)


def _common_length(left: bytes, right: bytes) -> int:
    pairs = zip(left, right, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


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
    documents = [store.manifest(path.stem) or {"outputs": {}} for path in manifests]
    return [name for document in documents for name in document["outputs"]]


def _show(console: Console, files: Sequence[tuple[str, int]]) -> None:
    rows = [(size(count), name) for name, count in files if not name.endswith(summary.PICTURES)]
    console.table("equal, byte for byte", rows)
    total = size(sum(count for _, count in files))
    text = f"{len(files)} files, {total}: both builds gave the same bytes"
    console.note(text)
    console.result(text)
