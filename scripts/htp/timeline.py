"""The compiler's simulated timeline of an inference: which node keeps which unit busy, and when.

With optrace, Qualcomm's compiler (QAIRT 2.51) hands out a Chrome trace in cycles, and leaves a
schematic: its graph as text, with the QNN node behind each id. An operator of the compiled graph
has an id of its own in the upper 32 bits, and that of the node it was made from in the lower ones.
A copy by DMA is there three times, as its start, itself, and the wait for it: its bytes count once.
HVX reads a few small tensors past DMA, through the cache: these are no part of the DRAM bytes, as
they are none of the compiler's own fills and spills.
"""

from __future__ import annotations

import gzip
import json
import mmap
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from scripts.errors import ArtefactError

HMX, HVX, DMA, SCALAR = "HMX", "HVX", "DMA", "scalar"
UNITS = (HMX, HVX, DMA, SCALAR)
# The timeline is beside the context binary.
SUFFIX = ".timeline.json.gz"
_UNIT_OF = {"uses_hmx": HMX, "for_hvx": HVX, "for_dma": DMA}
# What the main thread does for an operator on another unit.
_ERRANDS = "default_"
_LOW = 0xFFFF_FFFF
# The bandwidth of double data rate memory: two transfers a cycle.
_TRANSFERS = 2
_OPERATION = re.compile(rb"0x([0-9a-f]{16}): \{\n\t\t'operation':'q::(?:QNN_)?(\w+)")
_END_OF_NODES = b":::END:graph_before_optimization:::"
_TRANSLATIONS = b"qnn_name_translations = {"
_TRANSLATION = re.compile(rb"0x([0-9a-f]+): '([^'\n]*)'")


class Node(NamedTuple):
    """A node of the QNN graph, and the kind of operator that it is."""

    name: str
    kind: str


_UNNAMED = Node("", "")


class Event(NamedTuple):
    """An operator at work: cycles from the start of the inference, and bytes that it moves.

    Bytes are those that DMA moves from and to DRAM, and those read and written in VTCM.

    `track` is a place in the timeline's `tracks`, `unit` in `UNITS`, `node` in its `nodes`.
    """

    start: int
    length: int
    track: int
    unit: int
    node: int
    operator: str
    dram_bytes: int
    vtcm_bytes: int


@dataclass(frozen=True)
class Timeline:
    """One inference. `vtcm` is how many bytes of VTCM are in use from which cycle on.

    `ddr` is the memory's bandwidth in the simulation, in gigabytes a second.
    """

    megahertz: float = 0.0
    ddr: float = 0.0
    tracks: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    events: tuple[Event, ...] = ()
    vtcm: tuple[tuple[int, int], ...] = ()

    @property
    def cycles(self) -> int:
        """The length of the inference."""
        return max((event.start + event.length for event in self.events), default=0)

    def microseconds(self, cycles: float) -> float:
        """Return the time of so many cycles."""
        return cycles / self.megahertz

    def save(self, context: Path) -> None:
        """Write it beside its context binary: the same timeline, the same bytes."""
        with gzip.GzipFile(path_beside(context), "wb", mtime=0) as file:
            file.write(json.dumps(vars(self), separators=(",", ":")).encode())

    @classmethod
    def load(cls, context: Path) -> Timeline:
        """Return the timeline of a context binary; an empty one where the compiler gave none.

        Raises:
            ArtefactError: the file is missing or damaged.
        """
        path = path_beside(context)
        try:
            values = json.loads(gzip.decompress(path.read_bytes()))
            return cls(
                values["megahertz"],
                values["ddr"],
                tuple(values["tracks"]),
                tuple(Node(*row) for row in values["nodes"]),
                tuple(Event(*row) for row in values["events"]),
                tuple((cycle, size) for cycle, size in values["vtcm"]),
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ArtefactError(
                f"{path} holds no timeline of {context.name}: {error}.",
                remedy="compile again: `invoke context`",
            ) from error

    def chrome(self) -> Iterator[str]:
        """Yield the lines of a trace in Chrome's format, in microseconds; Perfetto opens it."""
        yield '{"displayTimeUnit":"ns","traceEvents":[\n'
        rows = [*self._names(), *self._work(), *self._memory()]
        yield ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
        yield "\n]}\n"

    def _names(self) -> Iterator[dict[str, Any]]:
        for track, name in enumerate(self.tracks):
            where = {"ph": "M", "pid": 0, "tid": track}
            yield {**where, "name": "thread_name", "args": {"name": name}}
            yield {**where, "name": "thread_sort_index", "args": {"sort_index": track}}

    def _work(self) -> Iterator[dict[str, Any]]:
        for event in self.events:
            node, unit = self.nodes[event.node], UNITS[event.unit]
            yield {
                "name": node.name or event.operator,
                "cat": unit,
                "ph": "X",
                "pid": 0,
                "tid": event.track,
                "ts": round(self.microseconds(event.start), 4),
                "dur": round(self.microseconds(event.length), 4),
                "args": {
                    "kind": node.kind,
                    "operator": event.operator,
                    "dram_bytes": event.dram_bytes,
                    "vtcm_bytes": event.vtcm_bytes,
                },
            }

    def _memory(self) -> Iterator[dict[str, Any]]:
        for cycle, size in self.vtcm:
            time = round(self.microseconds(cycle), 4)
            counter = {"name": "VTCM in use", "ph": "C", "pid": 0, "ts": time}
            yield {**counter, "args": {"bytes": size}}


def read(log: Path, schematic: Path) -> Timeline:
    """Return the timeline in a compiler's log, with the names of its schematic.

    A log without a trace gives an empty timeline.
    """
    trace = _trace(log)
    if trace is None:
        return Timeline()
    nodes = dict(_nodes(schematic))
    places = {node: place for place, node in enumerate(dict.fromkeys([_UNNAMED, *nodes.values()]))}
    rows, simulated = trace["traceEvents"], trace["Hextimate Configuration"]
    work = (row for row in rows if isinstance(row, _Work))
    events = (row.event(places[nodes.get(row.id & _LOW, _UNNAMED)]) for row in work)
    return Timeline(
        simulated["sim_core_freq"],
        _bandwidth(simulated),
        tuple(_tracks(rows)),
        tuple(places),
        tuple(sorted(event for event in events if event.length)),
        tuple(_usage(row for row in rows if isinstance(row, _Usage))),
    )


def path_beside(context: Path) -> Path:
    """Return the path of a context binary's timeline."""
    return context.with_suffix(SUFFIX)


class _Work(NamedTuple):
    """An event of the compiler's trace, as much of it as is kept."""

    id: int
    name: str
    track: int
    start: int
    length: int
    unit: int
    traffic: Mapping[str, int]

    def event(self, node: int) -> Event:
        unit, traffic = UNITS[self.unit], self.traffic
        is_errand = unit == SCALAR and self.name.startswith(_ERRANDS)
        dram = traffic["dram_read"] + traffic["dram_write"] if unit == DMA else 0
        vtcm = 0 if is_errand else traffic["vtcm_read"] + traffic["vtcm_write"]
        times = (self.start, self.length, self.track, self.unit)
        return Event(*times, node, self.name, dram, vtcm)


class _Usage(NamedTuple):
    start: int
    bytes: int


def _trace(log: Path) -> dict[str, Any] | None:
    """Return the Chrome trace in a log; its events are made small as they are read.

    The log of a large network has hundreds of megabytes, ten times that as Python's objects.
    """
    content = log.read_bytes() if log.is_file() else b""
    begin = content.find(b'"traceEvents"')
    if begin < 0:
        return None
    begin = content.rindex(b"{", 0, begin)
    text = content[begin:].decode("latin-1")
    trace: dict[str, Any] = json.JSONDecoder(object_hook=_condensed).raw_decode(text)[0]
    return trace


def _condensed(row: dict[str, Any]) -> Any:
    if row.get("ph") == "X":
        arguments = row["args"]
        unit = next((_UNIT_OF[flag] for flag in arguments["flags"] if flag in _UNIT_OF), SCALAR)
        times = (row["tid"], row["ts"], row["dur"])
        identity = (int(arguments["id"], 16), sys.intern(row["name"]))
        return _Work(*identity, *times, UNITS.index(unit), arguments["bw_info"])
    if row.get("name") == "TCM usage":
        return _Usage(row["ts"], row["args"]["Bytes"])
    return row


def _tracks(rows: Sequence[Any]) -> Iterator[str]:
    """Yield the names of the threads, by their numbers; the first is the main one."""
    names = {
        row["tid"]: row["args"]["name"].rstrip(":")
        for row in rows
        if isinstance(row, dict) and row.get("name") == "thread_name"
    }
    for track in range(max(names, default=-1) + 1):
        yield names.get(track, "").replace("FG", "main, HMX")


def _usage(rows: Iterable[_Usage]) -> Iterator[tuple[int, int]]:
    """Yield changes of the VTCM in use."""
    last = -1
    for row in rows:
        if row.bytes != last:
            yield row.start, row.bytes
        last = row.bytes


def _bandwidth(simulated: Mapping[str, float]) -> float:
    """Return the memory's bandwidth in gigabytes a second: of its megahertz, bytes, channels."""
    width = simulated["sim_ddr_width"] * simulated["sim_ddr_channels"]
    rate = simulated["sim_ddr_freq"] * _TRANSFERS * width * simulated["sim_ddr_efficiency"]
    return round(rate / 1000, 3)


def _nodes(schematic: Path) -> Iterator[tuple[int, Node]]:
    """Yield the QNN nodes in a schematic by their ids: names and, where it has them, kinds."""
    if not schematic.is_file() or not schematic.stat().st_size:
        return
    with (
        schematic.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        end = max(text.find(_END_OF_NODES), 0)
        operations = _OPERATION.finditer(text, 0, end)
        kinds = {int(match[1], 16) & _LOW: match[2].decode() for match in operations}
        named = set()
        if (begin := text.find(_TRANSLATIONS)) >= 0:
            for match in _TRANSLATION.finditer(text, begin, text.find(b"}", begin)):
                number = int(match[1], 16)
                named.add(number)
                yield number, Node(match[2].decode(), _kind(kinds.get(number, "")))
        for number, kind in kinds.items():
            if number not in named:
                yield number, Node(kind, kind)


def _kind(operation: str) -> str:
    return operation.removesuffix("_w_scale")
