"""The file of a sweep: a grid over the options of a build, and the points that it stands for.

boards = ["bench"]          # of devices.toml: what is built is tried there

[defaults]                  # what all points have
images = "pictures"

[grid]                      # each combination is a point; [[grid]] where there are several
weights = ["weights/s", "weights/b"]
precision = ["int8", "fp16", "mixed"]
max_ms = [2, 5]             # of the precisions that take a budget: mixed

[[exclude]]                 # combinations to leave out
weights = "weights/b"
precision = "fp16"

[within]                    # bounds to name the best point for
max_ms = [3, 10]
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from scripts import toml
from scripts.boards import devices
from scripts.boards.devices import Device
from scripts.errors import PipelineError, UsageError
from scripts.pipeline import plan
from scripts.pipeline.options import Option, Text, flag
from scripts.pipeline.request import Request
from scripts.sweep.point import OPTIONS, Point
from scripts.words import nearest, quoted

DEFAULTS, GRID, EXCLUDE, WITHIN = "defaults", "grid", "exclude", "within"
BOARDS = "boards"
# What there may be several tables of.
_SEVERAL = (GRID, EXCLUDE)
BOUNDS = ("max_ms", "min_cosine")
MOST_POINTS = 10_000
_FLAG = re.compile(r"(?<![\w/-])--([a-z][a-z-]*)", re.ASCII)
Axes = Mapping[str, Sequence[Text]]
Texts = Mapping[str, Text]


@dataclass(frozen=True)
class Sweep:
    """What a file asks for: points in a stable order; `within` are values of `BOUNDS` by name.

    `file` is its whole path; `boards` are what points are tried on, the canary first.
    """

    file: Path
    points: tuple[Point, ...]
    within: Mapping[str, tuple[float, ...]]
    boards: tuple[Device, ...] = ()

    @property
    def name(self) -> str:
        """What its folder below the build folder is called by."""
        return self.file.stem


@dataclass(frozen=True)
class _Tables:
    """The tables of a file, every name and value in them checked by itself."""

    defaults: Axes
    grids: Sequence[Axes]
    excluded: Sequence[Axes]
    within: Axes
    boards: Sequence[str]


def load(file: Path, shared: Texts, known: Path = devices.FILE) -> Sweep:
    """Return the sweep that a file stands for.

    Args:
        file: TOML, as above.
        shared: what the command line says for all points, `point.SHARED`.
        known: the `devices.toml` that says what boards there are.

    Raises:
        UsageError: the file is none; a name, a value or a combination in it cannot be meant.
        PipelineError: whatever else a build is refused for, e.g. weights that are damaged.
    """
    tables = _read(file)
    with at(file, BOARDS):
        boards = tuple(devices.select(tables.boards, known)) if tables.boards else ()
    defaults = {name: values[0] for name, values in tables.defaults.items()}
    texts = [{**defaults, **texts} for axes in tables.grids for texts in _product(axes)]
    rest = [text for text in texts if not any(_matches(entry, text) for entry in tables.excluded)]
    points = {point.name: point for point in (_point(file, text, shared) for text in rest)}
    if not points:
        raise UsageError(f"{file} has no points: all are excluded, or [{GRID}] is empty.")
    bounds = _bounds(tables.within, points.values())
    return Sweep(file.absolute(), tuple(points.values()), bounds, boards)


def _read(file: Path) -> _Tables:
    document = _document(file)
    axes = {
        name: [_axes(file, name, table) for table in _tables(file, document, name)]
        for name in (DEFAULTS, GRID, EXCLUDE, WITHIN)
    }
    tables = _Tables(
        next(iter(axes[DEFAULTS]), {}),
        axes[GRID],
        axes[EXCLUDE],
        next(iter(axes[WITHIN]), {}),
        _boards(file, document),
    )
    for name, values in tables.defaults.items():
        if len(values) > 1:
            _refuse(file, f"{DEFAULTS}.{name}", f"has several values, which belong to [{GRID}]")
    _require_apart(file, tables)
    for entry in tables.excluded:
        _require_meant(file, entry, [*tables.grids, tables.defaults])
    if count := _beyond(tables.grids):
        _refuse(file, GRID, f"stands for {count} points; {MOST_POINTS} at most")
    return tables


def _document(file: Path) -> dict[str, Any]:
    try:
        document = toml.load(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        _require_one_form(file)
        raise UsageError(f"{file} is no TOML: {error}.") from None
    for name in document:
        _require_known(file, "", name, (DEFAULTS, GRID, EXCLUDE, WITHIN, BOARDS))
    return document


def _boards(file: Path, document: Mapping[str, Any]) -> list[str]:
    """Return the names of boards or groups of boards that a file has; none where it has no key."""
    value = document.get(BOARDS, "")
    names = value if isinstance(value, list) else [value]
    if BOARDS in document and not (names and all(isinstance(name, str) and name for name in names)):
        _refuse(file, BOARDS, f"is {_as_toml(value)}: it must be names in {devices.FILE.name}")
    return [name for name in names if name]


def _require_one_form(file: Path) -> None:
    """Refuse `[grid]` beside `[[grid]]`: of that TOML's own words say nothing."""
    text = file.read_text(errors="replace")
    for name in _SEVERAL:
        if all(re.search(rf"^\s*{re.escape(head)}", text, re.M) for head in _heads(name)):
            _refuse(file, " and ".join(_heads(name)), f"do not go together: use [[{name}]] for all")


def _heads(name: str) -> tuple[str, str]:
    return f"[{name}]", f"[[{name}]]"


def _tables(file: Path, document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = document.get(name, [])
    tables = value if isinstance(value, list) else [value]
    if not all(isinstance(table, dict) for table in tables):
        _refuse(file, name, f"is no table: [{name}] begins one")
    if len(tables) > 1 and name not in _SEVERAL:
        _refuse(file, name, "stands there twice")
    return tables


def _axes(file: Path, table: str, entries: Mapping[str, Any]) -> Axes:
    """Return the texts that each option of a table may have, in the order of `OPTIONS`."""
    axes: dict[str, list[Text]] = {}
    for key, value in entries.items():
        name = key.replace("-", "_")
        _require_known(file, f"{table}.", name, BOUNDS if table == WITHIN else OPTIONS)
        if name in axes:
            _refuse(file, f"{table}.{name}", f"stands there twice, as {name} and {flag(name)[2:]}")
        values = value if isinstance(value, list) else [value]
        if not values:
            _refuse(file, f"{table}.{name}", "has no value: leave it out")
        axes[name] = [_text(file, table, OPTIONS[name], entry) for entry in values]
    return {name: axes[name] for name in OPTIONS if name in axes}


def _text(file: Path, table: str, option: Option, value: Any) -> Text:
    """Return the text of a value as a command line has it, where the option can have it."""
    place, is_flag = f"{table}.{option.name}", isinstance(option.default, bool)
    if is_flag != isinstance(value, bool) or not isinstance(value, (str, int, float)):
        needed = "true or false" if is_flag else "text or a number"
        _refuse(file, place, f"is {_as_toml(value)}: it must be {needed}")
    text: Text = value if isinstance(value, bool) else str(value)
    with at(file, place):
        option.value(text)
    return text


def _as_toml(value: Any) -> str:
    """Return a value about as a file has it: JSON writes texts, truth and lists alike."""
    return json.dumps(value, default=str, ensure_ascii=False)


def _require_known(file: Path, table: str, name: str, known: Collection[str]) -> None:
    if table and name == BOARDS:
        _refuse(file, f"{table}{name}", "stands too low: it belongs before the file's first table")
    if name not in known:
        remedy = f"{nearest(name, known)}one of: {', '.join(known)}"
        raise UsageError(f"{file}: there is no {table}{name}.", remedy=remedy)


def _require_apart(file: Path, tables: _Tables) -> None:
    """Refuse a default that no point has, as each takes what its grid says."""
    for name in tables.defaults:
        if any(name in axes for axes in tables.grids):
            what = f"stands in [{GRID}] too: what all points have is said once"
            _refuse(file, f"{DEFAULTS}.{name}", what)


def _require_meant(file: Path, entry: Axes, tables: Iterable[Axes]) -> None:
    """Refuse an exclusion of everything, or of nothing: a value that no point has."""
    if not entry:
        _refuse(file, EXCLUDE, "has nothing in it, which would leave out every point")
    for name, texts in entry.items():
        known = [str(text) for axes in tables for text in axes.get(name, [OPTIONS[name].default])]
        for text in map(str, texts):
            if text not in known:
                remedy = f"{nearest(text, known)}the grid has: {', '.join(dict.fromkeys(known))}"
                raise UsageError(
                    f"{file}: {EXCLUDE}.{name} {text} leaves nothing out.", remedy=remedy
                )


def _beyond(grids: Iterable[Axes]) -> int:
    """Return how many points grids stand for, 0 where those are not too many."""
    count = sum(math.prod(map(len, axes.values())) for axes in grids)
    return count if count > MOST_POINTS else 0


def _product(axes: Axes) -> Iterator[Texts]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _matches(entry: Axes, texts: Texts) -> bool:
    return all(
        str(texts.get(name, OPTIONS[name].default)) in map(str, values)
        for name, values in entry.items()
    )


def _point(file: Path, texts: Texts, shared: Texts) -> Point:
    """Return a point, after a look at what is known of its build before any work."""
    with at(file, ", ".join(f"{name} = {text}" for name, text in texts.items())):
        point = Point.make(file.stem, texts, shared)
        _require_here(point.request)
        plan.stages(point.request)
    return point


def _require_here(request: Request) -> None:
    """Refuse weights on the hub: every point would fetch them for itself."""
    if request.hub_id:
        weights, build_dir = request.hub_id, request.build_dir.parents[2]
        folder = replace(request, build_dir=build_dir).root / "weights"
        raise UsageError(
            f"The weights of {weights.repository} are on the hub, and a sweep fetches none.",
            remedy=f"`invoke fetch --weights {weights} --build-dir {quoted(build_dir)}`, then "
            f'weights = "{folder}"',
        )


def _bounds(within: Axes, points: Iterable[Point]) -> dict[str, tuple[float, ...]]:
    """Return the bounds that the file names, and the budgets of its points."""
    known = {
        name: {
            *(float(text) for text in within.get(name, ())),
            *(getattr(point.request, name) for point in points),
        }
        for name in BOUNDS
    }
    return {name: tuple(sorted(values - {0.0})) for name, values in known.items()}


@contextmanager
def at(file: Path, place: str) -> Iterator[None]:
    """Say of a refusal where in the file its reason stands, with the names that the file has."""
    try:
        yield
    except PipelineError as error:
        error.what = f"{file}: {place}: {_in_file(error.what)}"
        error.cause, error.remedy = _in_file(error.cause), _in_file(error.remedy)
        raise


def _in_file(text: str) -> str:
    """Return a message with options by their names in a file, as `min_cosine`.

    Commands between backticks, and options of the sweep's own command line, stay as they are.
    """
    parts = text.split("`")
    parts[::2] = [_FLAG.sub(_key, part) for part in parts[::2]]
    return "`".join(parts)


def _key(match: re.Match[str]) -> str:
    name = match[1].replace("-", "_")
    return name if name in OPTIONS else match[0]


def _refuse(file: Path, place: str, what: str) -> NoReturn:
    raise UsageError(f"{file}: {place} {what}.")
