"""What a sweep came to: a row for each point, the frontiers of networks, the best within bounds."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from scripts.errors import GateError
from scripts.sweep.grid import Sweep
from scripts.sweep.machine import Outcome
from scripts.sweep.point import OPTIONS, Point

OPEN, BUILT, MISSED, FAILED = "open", "built", "missed its gate", "failed"
UNFIT = "failed on boards"
STATES = (BUILT, MISSED, FAILED, UNFIT, OPEN)
# What becomes of a point on a board; on those of later waves than one that fails, nothing.
PASSED, REFUSED, ABSENT, UNTRIED = "passed", "failed", "not reached", "not tried"
# Options by which builds of one network differ. A cosine compares a build with its own network in
# float32, so points that differ in others are not better or worse by it.
CHOICES = ("precision", "max_ms", "min_cosine", "widths", "encodings", "input", "method")
_NO_MATTER = ("gate", "sign")


@dataclass(frozen=True)
class Verdict:
    """What became of a point on a board.

    `milliseconds` is the median of the runs on its golden input, `cosine` that with the simulator's
    output; `error` is as in an outcome.
    """

    board: str
    state: str
    milliseconds: float | None = None
    cosine: float | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Row:
    """A point, and how its build ended; without an outcome it has not ended."""

    point: Point
    log: Path
    outcome: Outcome | None = None
    boards: tuple[Verdict, ...] = ()

    @property
    def state(self) -> str:
        """One of `STATES`."""
        if self.outcome is None:
            return OPEN
        if not self.outcome.error:
            return UNFIT if self.error else BUILT
        return MISSED if self.outcome.error["exit_code"] == GateError.exit_code else FAILED

    @property
    def error(self) -> Mapping[str, Any] | None:
        """Why it is not built, or the first reason why a board failed."""
        return next(iter(self.errors), None)

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """Why it is not built, or why boards failed: what is the same for several of them once."""
        if self.outcome and self.outcome.error:
            return [self.outcome.error]
        errors = [
            verdict.error for verdict in self.boards if verdict.error and verdict.state == REFUSED
        ]
        return [error for place, error in enumerate(errors) if error not in errors[:place]]

    @property
    def archive(self) -> Mapping[str, Any]:
        """Path, size and SHA-256 of what it is built to."""
        return self._document("archive")

    @property
    def measured(self) -> float | None:
        """The milliseconds of an inference on its boards, the median of their medians."""
        times = [row.milliseconds for row in self.boards if row.milliseconds is not None]
        return round(statistics.median(times), 6) if times else None

    @property
    def cosine(self) -> float | None:
        """The lowest of the mean cosines with float32, CLS and patches; None if not measured."""
        figures: Mapping[str, float] = self._document("verify").get("figures", {})
        means = [value for name, value in figures.items() if name.endswith("_mean")]
        return min(means, default=None)

    @property
    def milliseconds(self) -> float | None:
        """The simulated time of an inference; None where there is no estimate."""
        return self._document("profile").get("milliseconds")

    @property
    def size(self) -> int | None:
        """The bytes of the context binary."""
        return self._document("profile").get("context_bytes")

    @property
    def work(self) -> float | None:
        """The seconds that its stages took when they last ran, in this sweep or before."""
        stages = self.outcome.document.get("stages", ()) if self.outcome else ()
        return sum(stage["seconds"] for stage in stages) if stages else None

    def _document(self, name: str) -> Mapping[str, Any]:
        return (self.outcome.document.get(name) if self.outcome else None) or {}

    def record(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        verify, outcome = self._document("verify"), self.outcome
        document = outcome.document if outcome else {}
        return {
            "point": self.point.name,
            "options": {name: self.point.options[name] for name in self.point.said},
            "state": self.state,
            "milliseconds": self.milliseconds,
            "measured_milliseconds": self.measured,
            "cosine": self.cosine,
            "bytes": self.size,
            "figures": verify.get("figures", {}),
            "accuracy": verify.get("accuracy", {}),
            "archive": document.get("archive"),
            "report": document.get("report"),
            "boards": [asdict(verdict) for verdict in self.boards],
            "error": self.error,
            "seconds": outcome.seconds if outcome else None,
            "machine": outcome.machine if outcome else None,
            "log": str(self.log),
            "command": shlex.join(["invoke", *self.point.words()]),
        }


@dataclass(frozen=True)
class Best:
    """The point of choice within a bound, None where no point keeps it."""

    bound: str
    row: Row | None


@dataclass(frozen=True)
class Network:
    """The points that are builds of one network for one board, by time and by cosine."""

    title: str
    rows: Sequence[Row]
    within: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def timed(self) -> list[Row]:
        """The built points that have both a time and a cosine, fastest first."""
        built = (row for row in self.rows if row.state == BUILT)
        timed = [row for row in built if row.milliseconds is not None and row.cosine is not None]
        return sorted(timed, key=lambda row: (row.milliseconds or 0.0, -(row.cosine or 0.0)))

    @property
    def frontier(self) -> list[Row]:
        """The points that no other one is as fast and as exact as, fastest first."""
        frontier: list[Row] = []
        for row in self.timed:
            if not frontier or (row.cosine or 0.0) > (frontier[-1].cosine or 0.0):
                frontier.append(row)
        return frontier

    def best(self) -> Iterator[Best]:
        """Yield the most exact point within each time, and the fastest with each cosine."""
        for most in self.within.get("max_ms", ()):
            fast = [row for row in self.frontier if (row.milliseconds or 0.0) <= most]
            yield Best(f"at most {most:g} ms: the most exact", fast[-1] if fast else None)
        for least in self.within.get("min_cosine", ()):
            exact = [row for row in self.frontier if (row.cosine or 0.0) >= least]
            yield Best(f"cosine of at least {least:g}: the fastest", exact[0] if exact else None)


@dataclass(frozen=True)
class Table:
    """All rows of a sweep, in its order."""

    sweep: Sweep
    rows: Sequence[Row]

    @property
    def columns(self) -> list[str]:
        """The options in which points differ."""
        points = [row.point for row in self.rows]
        return [name for name in OPTIONS if len({point.options[name] for point in points}) > 1]

    @property
    def networks(self) -> list[Network]:
        """The points of each network and board together."""

        def group(row: Row) -> tuple[str, ...]:
            return tuple(row.point.options[name] for name in self._identity)

        rows = sorted(self.rows, key=group)
        shown = [name for name in self._identity if name in self.columns]
        return [self._network(list(same), shown) for _, same in groupby(rows, key=group)]

    @property
    def _identity(self) -> list[str]:
        return [name for name in OPTIONS if name not in (*CHOICES, *_NO_MATTER)]

    def _network(self, rows: Sequence[Row], shown: Iterable[str]) -> Network:
        request = rows[0].point.request
        others = [short(rows[0].point, name) for name in shown if name != "model"]
        title = ", ".join([request.model.name, *others])
        return Network(title, rows, self.sweep.within)

    def label(self, row: Row) -> str:
        """Return what tells a row from the others of the sweep."""
        texts = [short(row.point, name) for name in self.columns]
        return ", ".join(text for text in texts if text) or row.point.name

    def record(self) -> dict[str, Any]:
        """Return the table as JSON has it."""
        states = [row.state for row in self.rows]
        return {
            "sweep": self.sweep.name,
            "file": str(self.sweep.file),
            "counts": {state: states.count(state) for state in STATES},
            "rows": [row.record() for row in self.rows],
            "networks": [
                {
                    "network": network.title,
                    "frontier": [row.point.name for row in network.frontier],
                    "best": {
                        best.bound: best.row.point.name if best.row else None
                        for best in network.best()
                    },
                }
                for network in self.networks
            ],
        }


def exactness(cosine: float) -> str:
    """Return a cosine with six digits, cut off: `metrics.rounded` keeps only 1 as 1."""
    return f"{math.floor(cosine * 1e6 + 1e-9) / 1e6:.6f}"


def short(point: Point, name: str) -> str:
    """Return an option of a point as a table has room for: of a path its last part.

    A number says what it is of.
    """
    text = point.options[name].rpartition("/")[2]
    return f"{name} {text}" if text[:1].isdigit() else text
