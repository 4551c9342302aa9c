"""Simulated times of networks, kept by what was compiled."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.htp import estimate

# The profile's wording, as QAIRT 2.51 has it.
MISSING = "Missing Ops"
TIMES = "times.json"


@dataclass(frozen=True)
class Time:
    """Simulated microseconds, and how many operators the compiler has no cost for."""

    microseconds: int
    missing: int

    @classmethod
    def read(cls, trace: Path) -> Time:
        """Return the figures of a compiler's profile."""
        with trace.open(newline="") as file:
            rows = list(csv.DictReader(file))
        missing = [int(row["Time"]) for row in rows if row["Event Identifier"].startswith(MISSING)]
        simulated = estimate.required(estimate.read_profile(trace))
        return cls(simulated.microseconds, sum(missing))


class Times:
    """What was measured before, kept in a file: a compile of a large network takes minutes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = json.loads(path.read_text()) if path.exists() else {}

    def get(self, of: Sequence[bytes], measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the figures of a network, compiled in some way; `measured` makes new ones."""
        key = hashlib.sha256(b"\0".join(of)).hexdigest()
        if key not in self._known:
            self._known[key] = measured()
            self._path.write_text(json.dumps(self._known, indent=1) + "\n")
        figures: dict[str, Any] = self._known[key]
        return figures
