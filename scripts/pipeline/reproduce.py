"""Build again under what differs between machines, and compare every byte."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scripts import artefacts
from scripts.console import Console, size
from scripts.errors import PipelineError, ReproducibilityError
from scripts.pipeline import plan, summary
from scripts.pipeline.build import Builder
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store
from scripts.pipeline.variations import AS_IT_IS, Variation
from scripts.words import counted

_CHUNK = 1 << 22


def run(builder: Builder, request: Request, variations: Iterable[Variation]) -> None:
    """Build from nothing, then again under each variation, and compare every byte.

    Raises:
        ReproducibilityError: names each variation with the first file that differs under it.
    """
    parent = request.build_dir / f"reproduce-{os.getpid()}"
    try:
        first = _build(builder, request, parent / "first", AS_IT_IS)
        verdicts = {
            variation.name: _verdict(builder, request, parent, first, variation)
            for variation in variations
        }
        files = list(compare(first, first))
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    _show(builder.console, files, verdicts)


def _verdict(
    builder: Builder, request: Request, parent: Path, first: Path, variation: Variation
) -> str:
    """Return what is different under a variation, empty if nothing is."""
    builder.console.note(f"variation: {variation.name}")
    folder = Path(tempfile.mkdtemp(prefix="dinov3-qnn-", dir=variation.parent or parent))
    try:
        second = _build(builder, request, folder / "deeper", variation)
        order = [stage.name for stage in plan.stages(request)]
        return _in_short(list(differences(first, second, order)))
    except PipelineError as error:
        return str(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_short(sentences: Sequence[str]) -> str:
    """Return the first of the sentences, and how many more there are."""
    more = f" {len(sentences) - 1} more differ." if len(sentences) > 1 else ""
    return "".join(sentences[:1]) + more


def compare(first: Path, second: Path) -> Iterator[tuple[str, int]]:
    """Yield name and size of every artefact of two stores, once it is equal in both.

    Raises:
        ReproducibilityError: an artefact is on one side only, or differs.
    """
    for difference in differences(first, second):
        raise ReproducibilityError(difference)
    for name in sorted(_outputs(first)):
        yield name, (first / name).stat().st_size


def differences(first: Path, second: Path, order: Sequence[str] = ()) -> Iterator[str]:
    """Yield a sentence on every artefact that differs or is in one store only.

    They come in the order of the stages' names in `order`, the rest by name.
    """
    left, right = _outputs(first), _outputs(second)
    place = {stage: index for index, stage in enumerate(order)}
    stages = {**right, **left}
    for name in sorted(stages, key=lambda name: (place.get(stages[name], len(place)), name)):
        if name not in left or name not in right:
            yield f"Only one of the two builds has {name}."
        elif (offset := first_difference(first / name, second / name)) is not None:
            yield f"{name} differs at byte {offset}."


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


def _build(builder: Builder, request: Request, folder: Path, variation: Variation) -> Path:
    # What comes from a cache was not built here.
    fresh = replace(request, build_dir=folder, cache="", cache_write=False)
    before = os.umask(variation.umask)
    try:
        replace(builder, variation=variation).build(fresh, plan.stages(fresh))
    finally:
        os.umask(before)
    return fresh.root


def _outputs(root: Path) -> dict[str, str]:
    """Return the stage of every artefact, by the artefact's name.

    Features of float32 are left out: processors disagree in their last digits. The report that is
    made of them is held to its bytes.
    """
    store = Store(root)
    names = sorted(path.stem for path in (root / "manifests").glob("*.json"))
    manifests = {name: store.manifest(name) or {"outputs": {}} for name in names}
    outputs = {output: name for name in names for output in manifests[name]["outputs"]}
    return {output: name for output, name in outputs.items() if not artefacts.is_features(output)}


def _show(console: Console, files: Sequence[tuple[str, int]], verdicts: Mapping[str, str]) -> None:
    rows = [(size(count), name) for name, count in files if not name.endswith(summary.PICTURES)]
    console.table("artefacts", rows)
    console.table("variations", [(name, text or "the same") for name, text in verdicts.items()])
    if broken := [f"{name}: {text}" for name, text in verdicts.items() if text]:
        raise ReproducibilityError("\n  ".join(["Other bytes under", *broken]))
    total = size(sum(count for _, count in files))
    text = f"{len(files)} files, {total}: {counted(1 + len(verdicts), 'build')} gave the same bytes"
    console.note(text)
    console.result(text)
