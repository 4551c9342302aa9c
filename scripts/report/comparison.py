"""Two builds side by side: what their pages keep as plain numbers, and how it differs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts import artefacts
from scripts.errors import ArtefactError
from scripts.package import document, package
from scripts.package.document import Each
from scripts.package.manifest import PAGE
from scripts.report import figures

# Bytes of a page that are read at most.
_LARGEST = 32 << 20
_RECORD_NAME = "record.json"
_RECORD = re.compile(rb'<script type="application/json" id="record">(.*?)</script>', re.DOTALL)
PARTS = {
    **dict.fromkeys(("facts", "origin", "measures"), Each(str)),
    **dict.fromkeys(("figures", "time", "layers", "kinds", "bytes"), Each(float)),
    "rewrites": Each(int),
    "tensors": Each((int, float, float)),
}
_SHAPE: dict[str, Any] = {"schema": int, "title": str, **PARTS}
# Tensors that are shown of those that differ: those whose ranges differ the most.
_TENSORS = 20
# Activations that one of them alone has, by name.
_ALONE = 5
# A comma between parts of a text, not one of a shape.
_COMMA = re.compile(r", (?![^\[]*\])")


@dataclass(frozen=True)
class Row:
    """One line: what it is of, both values as text, and the change where both are numbers."""

    part: str
    name: str
    before: str
    after: str
    change: str = ""


@dataclass(frozen=True)
class Comparison:
    """The titles of two builds, and a row for each figure of either."""

    before: str
    after: str
    rows: tuple[Row, ...]

    def record(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {"a": self.before, "b": self.after, "rows": [asdict(row) for row in self.rows]}

    def parts(self) -> dict[str, list[Row]]:
        """Return the rows by the part of the report that they are of."""
        return {
            part: [row for row in self.rows if row.part == part]
            for part in dict.fromkeys(row.part for row in self.rows)
        }


def load(path: Path) -> dict[str, Any]:
    """Return what the page of a build keeps: of a page, an archive, or a folder that has a page.

    Raises:
        UsageError: there is no such archive.
        ArtefactError: there is none, more than one, or not one of ours; the archive is damaged;
            the folder is of a build that missed its gate.
    """
    data = _page_of_archive(path) if path.name.endswith(".tar.gz") else _page(path)
    found = _RECORD.search(data)
    if not found:
        raise ArtefactError(
            f"{path} holds no report.",
            cause="it was built before there were reports, or is no page of ours",
            remedy="build it again with `invoke build`",
        )
    record = document.load(found[1], _RECORD_NAME, {"schema": int})
    if record["schema"] != figures.SCHEMA:
        raise ArtefactError(
            f"The report of {path} has schema {record['schema']}; this program knows"
            f" {figures.SCHEMA}.",
            remedy="compare it with the release that made it",
        )
    return document.load(found[1], _RECORD_NAME, _SHAPE)


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """Return two records side by side, what is equal in both included where it is a figure."""
    rows = [
        *_numbers("accuracy", before["figures"], after["figures"]),
        *_texts("accuracy", before["measures"], after["measures"], equal=True),
        *_numbers("milliseconds", before["time"], after["time"]),
        *_numbers("microseconds by layer", *map(_in_order, (before["layers"], after["layers"]))),
        *_numbers("microseconds by kind of operator", before["kinds"], after["kinds"]),
        *_numbers("bytes", before["bytes"], after["bytes"]),
        *_numbers("widths", _widths(before), _widths(after)),
        *_ranges(before["tensors"], after["tensors"]),
        *_numbers("rewrites", before["rewrites"], after["rewrites"], equal=False),
        *_texts("origin", before["facts"], after["facts"]),
        *_texts("origin", before["origin"], after["origin"]),
    ]
    return Comparison(
        f"A: {before['title']}{_variant(before, after)}",
        f"B: {after['title']}{_variant(after, before)}",
        tuple(rows),
    )


def _variant(record: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return what tells a build from another of the same title: the first fact that differs."""
    if record["title"] != other["title"]:
        return ""
    for part in ("facts", "origin"):
        for name, fact in record[part].items():
            common = _COMMA.split(other[part].get(name, ""))
            if own := [text for text in _COMMA.split(fact) if text not in common]:
                return f", {own[0]}"
    return ""


def _page(path: Path) -> bytes:
    pages = _pages(path) if path.is_dir() else [path]
    if len(pages) != 1:
        names = ", ".join(str(page) for page in pages)
        raise ArtefactError(
            f"{path} holds {f'{len(pages)} reports: {names}' if pages else 'no report'}.",
            remedy="name one of them" if pages else "make one with `invoke report`",
        )
    if not pages[0].is_file():  # a pipe would be waited for
        what = "is not a file" if pages[0].exists() else "is not there"
        raise ArtefactError(
            f"The report {pages[0]} {what}.",
            remedy="name a folder that has one, an archive or a report.html",
        )
    with pages[0].open("rb") as file:
        return file.read(_LARGEST)


def _pages(folder: Path) -> list[Path]:
    """Return the reports in a folder: that of one report, of an unpacked package, or of a build.

    Raises:
        ArtefactError: its last build missed its gate, and the reports are of the build before.
    """
    for page in (folder / artefacts.PAGE, folder / PAGE):
        if page.exists():
            return [page]
    pages = sorted(folder.glob("reports/*/report.html"))
    if failed := sorted(folder.glob(f"{artefacts.failed('*')}/")):
        names = ", ".join(map(str, [*failed[0].glob(artefacts.PAGE), *pages]))
        raise ArtefactError(
            f"A build in {folder} missed its gate, see {failed[0]}: its reports are of builds"
            " before that.",
            remedy=f"name the report that you mean: {names}" if names else "build it again",
        )
    return pages


def _page_of_archive(path: Path) -> bytes:
    _, documents = package.read(path, also={PAGE: _LARGEST})
    return documents.get(PAGE, b"")


def _numbers(
    part: str, before: Mapping[str, Any], after: Mapping[str, Any], *, equal: bool = True
) -> Iterator[Row]:
    for name in dict.fromkeys([*before, *after]):
        values = [side.get(name) for side in (before, after)]
        if equal or values[0] != values[1]:
            before_text, after_text = (_number(part, value) for value in values)
            alone = _alone(name, before, after) if before and after else ""
            yield Row(part, name, before_text, after_text, alone or _change(part, name, *values))


def _in_order(layers: Mapping[str, float]) -> dict[str, float]:
    """Return layers by their numbers, as names of few digits come first."""
    return {name: layers[name] for name in sorted(layers, key=lambda name: (len(name), name))}


def _texts(
    part: str, before: Mapping[str, Any], after: Mapping[str, Any], *, equal: bool = False
) -> Iterator[Row]:
    for name in dict.fromkeys([*before, *after]):
        values = [str(side.get(name, "-")) for side in (before, after)]
        if equal or values[0] != values[1]:
            yield Row(part, name, values[0], values[1], _alone(name, before, after))


def _alone(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return which side alone has something, if one does."""
    if name in before and name in after:
        return ""
    return "only in A" if name in before else "only in B"


def _widths(record: Mapping[str, Any]) -> dict[str, int]:
    bits = [entry[0] for entry in record["tensors"].values()]
    return {f"activations of {width} bits": bits.count(width) for width in sorted(set(bits))}


def _ranges(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the activations of both whose grids differ, those first that differ the most."""
    both = [name for name in before if name in after and before[name] != after[name]]
    both.sort(key=lambda name: (-_difference(before[name], after[name]), name))
    for name in both[:_TENSORS]:
        yield Row("ranges", name, _grid(before[name]), _grid(after[name]))
    if more := len(both[_TENSORS:]):
        yield Row("ranges", "activations that differ less", str(more), str(more))
    if alone := [name for name in before if name not in after]:
        yield Row("ranges", _some(alone), str(len(alone)), "-", "only in A")
    if alone := [name for name in after if name not in before]:
        yield Row("ranges", _some(alone), "-", str(len(alone)), "only in B")


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and that there are more."""
    return ", ".join(names[:_ALONE]) + (", ..." if names[_ALONE:] else "")


def _difference(before: Any, after: Any) -> float:
    """Return how far the ends of two ranges are apart, in widths of the first; 1 more a width."""
    span = max(before[2] - before[1], 1e-9)
    moved = max(abs(after[1] - before[1]), abs(after[2] - before[2])) / span
    return float(moved + (before[0] != after[0]))


def _grid(entry: Any) -> str:
    return f"{entry[0]} bits, {entry[1]:.4g} to {entry[2]:.4g}"


def _number(part: str, value: Any) -> str:
    if value is None:
        return "no estimate" if part == "milliseconds" else "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _change(part: str, name: str, before: Any, after: Any) -> str:
    """Return how much a number changed: in its own unit where it is one of accuracy, else in %."""
    if before is None or after is None or before == after:
        return ""
    if name.endswith("_db"):
        return f"{after - before:+.2f} dB"
    if part == "accuracy":
        return f"{after - before:+.6f}"
    return f"{100 * (after / before - 1):+.1f} %" if before else f"{after - before:+g}"
