"""Two builds side by side: what their pages keep as plain numbers, and how it differs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
# The beginning of a page of two builds, which the next may replace.
MARK = b'<meta name="generator" content="invoke diff">'
_RECORD_NAME = "record.json"
_RECORD = re.compile(rb'<script type="application/json" id="record">(.*?)</script>', re.DOTALL)
PARTS = {
    **dict.fromkeys(("facts", "origin", "measures"), Each(str)),
    **dict.fromkeys(("figures", "time", "layers", "kinds", "bytes"), Each(float)),
    "rewrites": Each(int),
    "tensors": Each((int, float, float)),
}
_SHAPE: dict[str, Any] = {"schema": int, "title": str, "pictures": str, "missed": [str], **PARTS}
# Tensors that are shown of those that differ: those whose ranges differ the most.
_TENSORS = 20
# Activations that one of them alone has, by name.
_ALONE = 5
_ONLY = ("only in A", "only in B")
# A comma between parts of a text, not one of a shape.
_COMMA = re.compile(r", (?![^\[]*\])")


@dataclass(frozen=True)
class Row:
    """One line: what it is of, both values as text, and the change where both are numbers.

    For programs, `values` are both values as they are, None where a build has none, `amount` is
    their difference and `unit` its unit, decibels or percent.
    """

    part: str
    name: str
    before: str
    after: str
    change: str = ""
    values: tuple[Any, Any] = (None, None)
    amount: float | None = None
    unit: str = ""

    def record(self) -> dict[str, Any]:
        """Return it for programs."""
        before, after = self.values
        only = self.change[-1] if self.change in _ONLY else None
        row = {"part": self.part, "name": self.name, "before": before, "after": after}
        return {**row, "change": self.amount, "unit": self.unit, "only_in": only}


@dataclass(frozen=True)
class Comparison:
    """The titles of two builds, and a row for each figure of either."""

    before: str
    after: str
    rows: tuple[Row, ...]

    def record(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {"a": self.before, "b": self.after, "rows": [row.record() for row in self.rows]}

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
    match = _RECORD.search(data)
    if not match:
        raise ArtefactError(
            f"{path} holds no report.",
            cause="it was built before there were reports, or is no page of ours",
            remedy="build it again with `invoke build`",
        )
    record = document.load(match[1], _RECORD_NAME, {"schema": int})
    if record["schema"] != figures.SCHEMA:
        raise ArtefactError(
            f"The report of {path} has schema {record['schema']}; this program knows"
            f" {figures.SCHEMA}.",
            remedy="compare it with the release that made it",
        )
    return document.load(match[1], _RECORD_NAME, _SHAPE)


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """Return two records side by side, what is equal in both included where it is a figure."""
    rows = [
        *_texts("verdict", _verdict(before), _verdict(after), equal=True),
        *_numbers("accuracy", before["figures"], after["figures"]),
        *_texts("accuracy", before["measures"], after["measures"], equal=True),
        *_numbers("milliseconds", before["time"], after["time"]),
        *_numbers("microseconds by layer", *map(_in_order, (before["layers"], after["layers"]))),
        *_numbers("microseconds by kind of operator", before["kinds"], after["kinds"]),
        *_numbers("bytes", before["bytes"], after["bytes"]),
        *_numbers("widths", _widths(before), _widths(after)),
        *_ranges(_tensors(before), _tensors(after)),
        *_numbers("rewrites", _fired(before), _fired(after), equal=False),
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
    pairs = ((side["facts"], _verdict(side), side["origin"]) for side in (record, other))
    for facts, others in zip(*pairs, strict=True):
        for name, fact in facts.items():
            common = _COMMA.split(others.get(name, ""))
            if own := [text for text in _COMMA.split(fact) if text not in common]:
                return f", {own[0]}"
    return ""


def _verdict(record: Mapping[str, Any]) -> dict[str, str]:
    missed = ", ".join(record["missed"])
    gate = f"misses its gate: {missed}" if missed else "passes its gate"
    return {"gate": gate, "judged on": record["pictures"]}


def _fired(record: Mapping[str, Any]) -> dict[str, int]:
    """Return how often each rewrite fired, where it did."""
    return {name: count for name, count in record["rewrites"].items() if count}


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
            texts = (_number(part, name, values[0]), _number(part, name, values[1]))
            alone = _alone(name, before, after) if before and after else ""
            amount, unit = _change(part, name, *values)
            change = alone or _changed(amount, unit)
            yield Row(part, name, *texts, change, (values[0], values[1]), amount, unit)


def _in_order(layers: Mapping[str, float]) -> dict[str, float]:
    """Return layers by their numbers, as names of few digits come first."""
    return {name: layers[name] for name in sorted(layers, key=lambda name: (len(name), name))}


def _texts(
    part: str, before: Mapping[str, Any], after: Mapping[str, Any], *, equal: bool = False
) -> Iterator[Row]:
    for name in dict.fromkeys([*before, *after]):
        values = before.get(name), after.get(name)
        if equal or values[0] != values[1]:
            texts = (values[0] or "-", values[1] or "-")
            plain = (_plain(values[0]), _plain(values[1]))
            yield Row(part, name, *texts, _alone(name, before, after), plain)


def _alone(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return which side alone has something, if one does."""
    if name in before and name in after:
        return ""
    return _ONLY[name not in before]


def _plain(text: str | None) -> float | str | None:
    """Return the number that a text is; a text that is none, as it is."""
    try:
        return text and float(text)
    except ValueError:
        return text


def _widths(record: Mapping[str, Any]) -> dict[str, int]:
    bits = [entry[0] for entry in record["tensors"].values()]
    return {f"activations of {width} bits": bits.count(width) for width in sorted(set(bits))}


@dataclass(frozen=True)
class _Grid:
    """The bits and range of an activation; of a float16 one, only its magnitude is known."""

    bits: int
    low: float
    high: float
    is_float: bool = False

    def __str__(self) -> str:
        if self.is_float:
            return f"float16, magnitude {self.high:.4g}"
        return f"{self.bits} bits, {self.low:.4g} to {self.high:.4g}"

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))

    def record(self) -> dict[str, Any]:
        if self.is_float:
            return {"type": "float16", "magnitude": self.high}
        return {"bits": self.bits, "low": self.low, "high": self.high}


def _tensors(record: Mapping[str, Any]) -> dict[str, _Grid]:
    """Return the grids of a build's activations."""
    is_float = "activations float16" in record["facts"].get("precision", "")
    return {
        name: _Grid(bits, low, high, is_float)
        for name, (bits, low, high) in record["tensors"].items()
    }


def _ranges(before: Mapping[str, _Grid], after: Mapping[str, _Grid]) -> Iterator[Row]:
    """Yield the activations of both whose grids differ, those first that differ the most.

    Of those that one build alone has, some.
    """
    both = [name for name in before if name in after and before[name] != after[name]]
    both.sort(key=lambda name: (-_difference(before[name], after[name]), name))
    for name in both[:_TENSORS]:
        grids = before[name], after[name]
        records = (grids[0].record(), grids[1].record())
        yield Row("ranges", name, str(grids[0]), str(grids[1]), values=records)
    if more := len(both[_TENSORS:]):
        yield _count("activations that differ less", more, more)
    yield from _those_alone(before, [name for name in before if name not in after], 0)
    yield from _those_alone(after, [name for name in after if name not in before], 1)


def _those_alone(grids: Mapping[str, _Grid], names: Sequence[str], side: int) -> Iterator[Row]:
    """Yield some activations that one build alone has, and how many more there are."""
    for name in names[:_ALONE]:
        text, entry = str(grids[name]), grids[name].record()
        texts, values = (("-", text), (None, entry)) if side else ((text, "-"), (entry, None))
        yield Row("ranges", name, *texts, _ONLY[side], values)
    if more := len(names[_ALONE:]):
        before, after = (None, more) if side else (more, None)
        yield _count("more activations", before, after, _ONLY[side])


def _count(name: str, before: int | None, after: int | None, change: str = "") -> Row:
    texts = (_number("ranges", name, before), _number("ranges", name, after))
    return Row("ranges", name, *texts, change, (before, after))


def _difference(before: _Grid, after: _Grid) -> float:
    """Return how far the ends of two ranges are apart, in widths of the first; 1 more a width.

    Of two magnitudes, or of one and a range: how far the magnitudes are apart.
    """
    if before.is_float or after.is_float:
        span = max(before.magnitude, 1e-9)
        return abs(after.magnitude - before.magnitude) / span
    span = max(before.high - before.low, 1e-9)
    moved = max(abs(after.low - before.low), abs(after.high - before.high)) / span
    return moved + (before.bits != after.bits)


def _number(part: str, name: str, value: Any) -> str:
    if value is None:
        return "no estimate" if part == "milliseconds" else "-"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
    return f"{text} dB" if name.endswith("_db") else text


def _change(part: str, name: str, before: Any, after: Any) -> tuple[float | None, str]:
    """Return how much a number changed, and the unit of that.

    It is the number's own where it is one of accuracy, else percent.
    """
    if before is None or after is None:
        return None, ""
    if name.endswith("_db"):
        return after - before, "dB"
    if part == "accuracy" or not before:
        return after - before, ""
    return 100 * (after / before - 1), "%"


def _changed(amount: float | None, unit: str) -> str:
    """Return a change as text; nothing where there is none."""
    if not amount:
        return ""
    if isinstance(amount, int):
        return f"{amount:+,}"
    digits = {"dB": 2, "%": 1}.get(unit, 6)
    return f"{amount:+.{digits}f} {unit}".rstrip()
