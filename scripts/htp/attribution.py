"""Where the time of a timeline goes: by node, by layer of the network, by kind of operator.

At any moment the time is divided evenly among the events that keep a unit busy then; where none
does, it is idle. With n(t) events at work at time t, an event from a to b has the integral of
dt / n(t) over [a, b]. So the shares and the idle time add up to the length of the inference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.htp.timeline import HMX, HVX, UNITS, Event, Node, Timeline

OUTSIDE = "input and output"
UNNAMED = "no node"
_LAYER = re.compile(r"layer\.(\d+)\.")
_EMBEDDINGS = "embeddings"
# Of microseconds in a report.
_DECIMALS = 3


@dataclass
class Share:
    """What a group of events takes: microseconds of the inference, and how long units are busy."""

    microseconds: float = 0.0
    busy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(UNITS, 0.0))
    dram_bytes: int = 0
    vtcm_bytes: int = 0

    def add(self, timeline: Timeline, event: Event, cycles: float) -> None:
        """Take one more event, whose part of the inference is so many cycles."""
        self.microseconds += timeline.microseconds(cycles)
        self.busy[UNITS[event.unit]] += timeline.microseconds(event.length)
        self.dram_bytes += event.dram_bytes
        self.vtcm_bytes += event.vtcm_bytes

    def as_json(self) -> dict[str, Any]:
        """Return it for a report; `unit` is the one that is busy with it the longest."""
        return {
            "microseconds": round(self.microseconds, _DECIMALS),
            "unit": max(self.busy, key=lambda unit: self.busy[unit]),
            "busy_microseconds": {
                unit: round(time, _DECIMALS) for unit, time in self.busy.items() if time
            },
            "dram_bytes": self.dram_bytes,
            "vtcm_bytes": self.vtcm_bytes,
        }


@dataclass(frozen=True)
class Attribution:
    """A timeline and what part of its length, in cycles, each event has."""

    timeline: Timeline
    cycles: NDArray[np.float64]

    @classmethod
    def of(cls, timeline: Timeline) -> Attribution:
        """Divide the time of a timeline among its events."""
        starts = np.array([event.start for event in timeline.events])
        ends = starts + np.array([event.length for event in timeline.events])
        moments = np.unique(np.concatenate([starts, ends]))
        first, last = np.searchsorted(moments, starts), np.searchsorted(moments, ends)
        changes = np.bincount(first, minlength=len(moments)) - np.bincount(last)
        parts = np.diff(moments) / np.maximum(np.cumsum(changes)[:-1], 1)
        integral = np.concatenate([[0.0], np.cumsum(parts)])
        return cls(timeline, integral[last] - integral[first])

    @property
    def idle(self) -> float:
        """Microseconds in which no unit is busy."""
        timeline = self.timeline
        return max(timeline.microseconds(timeline.cycles - float(self.cycles.sum())), 0.0)

    def by(self, group: Callable[[Node], str]) -> dict[str, Share]:
        """Return the share of each group of nodes, in the order in which they begin."""
        shares: dict[str, Share] = {}
        for event, cycles in zip(self.timeline.events, self.cycles.tolist(), strict=True):
            name = group(self.timeline.nodes[event.node])
            shares.setdefault(name, Share()).add(self.timeline, event, cycles)
        return shares

    def busy(self) -> dict[str, float]:
        """Return how much of the inference each unit is busy, 0 to 1; HVX is all its threads."""
        timeline, cycles = self.timeline, self.timeline.cycles
        threads = max(sum(name.startswith(f"{HVX} ") for name in timeline.tracks), 1)
        total = dict.fromkeys(UNITS, 0.0)
        for event in timeline.events:
            total[UNITS[event.unit]] += event.length / cycles
        total[HVX] /= threads
        return {unit: round(share, 4) for unit, share in total.items()}

    def bounds(self) -> dict[str, float]:
        """Return milliseconds that no order of the same work can go below.

        One is the bytes that DMA moves at the bandwidth of DDR, the other the matrix unit's work.
        """
        timeline, rows = self.timeline, self.timeline.events
        moved = sum(event.dram_bytes for event in rows)
        matrix = sum(event.length for event in rows if UNITS[event.unit] == HMX)
        return {
            "ddr": round(moved / timeline.ddr / 1e6, 4),
            "matrix_unit": round(timeline.microseconds(matrix) / 1000, 4),
        }


def layer(node: Node) -> str:
    """Return the layer of the network that a node belongs to, by its name."""
    if match := _LAYER.search(node.name):
        return f"layer {match[1]}"
    return _EMBEDDINGS if node.name.startswith(_EMBEDDINGS) else OUTSIDE


def place(layer: str) -> tuple[int, int]:
    """Return the place of a layer in the network: embeddings, layers, the rest."""
    if layer.startswith("layer "):
        return 1, int(layer.rpartition(" ")[2])
    return (0 if layer == _EMBEDDINGS else 2), 0


def kind(node: Node) -> str:
    """Return the kind of operator that a node is."""
    return node.kind or UNNAMED


def name(node: Node) -> str:
    """Return a node's name."""
    return node.name or UNNAMED
