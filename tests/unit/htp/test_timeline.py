"""The compiler's timeline: read from its log, kept, divided among nodes, and written as a trace."""

import gzip
import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts import artefacts
from scripts.errors import ArtefactError
from scripts.htp import attribution, breakdown, estimate, timeline
from scripts.htp.attribution import Attribution
from scripts.htp.estimate import Estimate
from scripts.htp.timeline import DMA, HMX, HVX, SCALAR, UNITS, Event, Node, Timeline
from scripts.stages import profile
from tests.unit.htp.test_contexts import HEAD, TAIL

# As QAIRT 2.51 writes it, shortened; the upper half of an id is the compiler's own.
SCHEMATIC = """\
graph_before_optimization = { # :::BEGIN:graph_before_optimization:::
\t0x0000000000000002: {
\t\t'operation':'q::Input',
\t},
\t0x0000000000000011: {
\t\t'operation':'q::QNN_FullyConnected_w_scale',
\t},
\t0x4000000000000012: {
\t\t'operation':'q::QNN_Softmax',
\t},
} # :::END:graph_before_optimization:::
\t0x0000000000000013: {
\t\t'operation':'q::ConvLayer',
\t},
qnn_name_translations = {
0x0000000000000011: 'layer.10.mlp.up_proj',
0x0000000000000012: 'layer.2.attention.Softmax',
}
"""
CONFIGURATION = {
    "sim_core_freq": 1000,
    "sim_ddr_freq": 3000,
    "sim_ddr_width": 2,
    "sim_ddr_channels": 4,
    "sim_ddr_efficiency": 0.9,
}
ESTIMATE = Estimate(1, 1, 1, 1000, 100, 0, 0, 0)


def work(name: str, node: int, track: int, start: int, length: int, flag: str) -> dict[str, Any]:
    traffic = {"dram_read": 100, "dram_write": 20, "vtcm_read": 4, "vtcm_write": 3, "is_dma": 0}
    arguments = {"id": hex(0x5A << 32 | node), "flags": [flag], "bw_info": traffic}
    times = {"pid": 0, "tid": track, "ts": start, "dur": length}
    return {"name": name, "ph": "X", **times, "args": arguments}


def in_use(cycle: int, size: int) -> dict[str, Any]:
    return {"name": "TCM usage", "ph": "C", "pid": 0, "ts": cycle, "args": {"Bytes": size}}


def thread(track: int, name: str) -> dict[str, Any]:
    return {"name": "thread_name", "ph": "M", "tid": track, "pid": 0, "args": {"name": name}}


TRACE = [
    work("default_dma_start (q::weights)", 0x11, 0, 0, 100, "scalar"),
    work("default_dma (q::weights)", 0x11, 3, 100, 300, "for_dma"),
    work("q::ConvLayer", 0x11, 0, 400, 400, "uses_hmx"),
    work("default_hvx_spawn (q::Softmax)", 0x12, 0, 800, 0, "scalar"),
    work("q::Softmax", 0x12, 1, 500, 400, "for_hvx"),
    work("q::*OutputSlice", 0x99, 2, 950, 50, "for_hvx"),
    *(in_use(0, 2048), in_use(100, 2048), in_use(400, 512)),
    *(thread(0, "FG:"), thread(1, "HVX 1:"), thread(2, "HVX 2:"), thread(3, "DMA:")),
    {"name": "TCM allocated", "ph": "C", "pid": 0, "ts": 0, "args": {"Bytes": 7}},
]


@pytest.fixture
def activity(tmp_path: Path) -> Timeline:
    return read(tmp_path, {"traceEvents": TRACE, "Hextimate Configuration": CONFIGURATION})


def read(folder: Path, trace: Any) -> Timeline:
    log, schematic = folder / "a.log", folder / "a_schematic.bin"
    log.write_bytes(b"\0\0\xa0{\x10" + json.dumps(trace).encode() + b"graph\0\xff")
    schematic.write_text(SCHEMATIC)
    return timeline.read(log, schematic)


def test_reads_units_names_and_bytes_out_of_the_compilers_log(activity: Timeline) -> None:
    assert (activity.megahertz, activity.ddr, activity.cycles) == (1000, 43.2, 1000)
    assert activity.tracks == ("main, HMX", "HVX 1", "HVX 2", "DMA")
    assert activity.vtcm == ((0, 2048), (400, 512))
    rows = [
        (activity.nodes[event.node], UNITS[event.unit], event.start, event.dram_bytes)
        for event in activity.events
    ]
    up = Node("layer.10.mlp.up_proj", "FullyConnected")
    assert rows == [
        (up, SCALAR, 0, 0),
        (up, DMA, 100, 120),
        (up, HMX, 400, 0),
        (Node("layer.2.attention.Softmax", "Softmax"), HVX, 500, 0),
        (Node("", ""), HVX, 950, 0),
    ]
    assert [event.vtcm_bytes for event in activity.events] == [0, 7, 7, 7, 7]


@pytest.mark.parametrize("content", [b"", b"binary", None])
def test_a_log_without_a_trace_is_an_empty_timeline(tmp_path: Path, content: bytes | None) -> None:
    log = tmp_path / "a.log"
    if content is not None:
        log.write_bytes(content)
    assert timeline.read(log, tmp_path / "none") == Timeline()


def test_it_is_kept_beside_the_context_with_the_same_bytes_every_time(
    tmp_path: Path, activity: Timeline
) -> None:
    context = tmp_path / "c.serialized.bin"
    activity.save(context)
    first = timeline.path_beside(context).read_bytes()
    activity.save(context)
    assert timeline.path_beside(context).read_bytes() == first
    assert Timeline.load(context) == activity
    assert timeline.path_beside(Path(artefacts.context_binary("int8"))) == Path(
        artefacts.timeline("int8")
    )


@pytest.mark.parametrize("content", [b"", b"x", gzip.compress(b"{}"), gzip.compress(b"[")])
def test_a_damaged_timeline_is_named(tmp_path: Path, content: bytes) -> None:
    context = tmp_path / "c.serialized.bin"
    timeline.path_beside(context).write_bytes(content)
    with pytest.raises(ArtefactError, match="holds no timeline"):
        Timeline.load(context)


def test_time_is_divided_among_what_is_at_work_and_adds_up(activity: Timeline) -> None:
    """HMX and HVX are both at work from 500 to 800; from 900 to 950 nothing is."""
    divided = Attribution.of(activity)
    shares = divided.by(attribution.name)
    microseconds = {name: share.microseconds for name, share in shares.items()}
    assert microseconds == pytest.approx(
        {
            "layer.10.mlp.up_proj": 0.1 + 0.3 + 0.1 + 0.15,
            "layer.2.attention.Softmax": 0.15 + 0.1,
            attribution.UNNAMED: 0.05,
        }
    )
    assert divided.idle == pytest.approx(0.05)
    assert sum(microseconds.values()) + divided.idle == pytest.approx(1.0)
    up = shares["layer.10.mlp.up_proj"].as_json()
    assert up["unit"] == HMX
    assert up["busy_microseconds"] == {SCALAR: 0.1, DMA: 0.3, HMX: 0.4}
    assert (up["dram_bytes"], up["vtcm_bytes"]) == (120, 14)


def test_busy_shares_and_bounds(activity: Timeline) -> None:
    divided = Attribution.of(activity)
    assert divided.busy() == {HMX: 0.4, HVX: (0.4 + 0.05) / 2, DMA: 0.3, SCALAR: 0.1}
    assert divided.bounds() == {"ddr": round(120 / 43.2 / 1e6, 4), "matrix_unit": 0.0004}


class _Counted(tuple[Event, ...]):
    """Events that count how often they are gone through."""

    rounds = 0

    def __iter__(self) -> Iterator[Event]:
        self.rounds += 1
        return super().__iter__()


def test_a_report_goes_through_the_events_a_few_times_however_many_they_are(
    activity: Timeline,
) -> None:
    events = _Counted(activity.events * 50)
    breakdown.report(Attribution.of(replace(activity, events=events)))
    assert events.rounds < 20


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("layer.11.norm1.LayerNormalization", "layer 11"),
        ("embeddings.Concat", "embeddings"),
        ("last_hidden_state", attribution.OUTSIDE),
        ("", attribution.OUTSIDE),
    ],
)
def test_a_nodes_name_says_its_layer(name: str, layer: str) -> None:
    assert attribution.layer(Node(name, "")) == layer


def test_layers_are_in_the_order_of_the_network() -> None:
    layers = [attribution.OUTSIDE, "layer 10", "layer 2", "embeddings"]
    assert sorted(layers, key=attribution.place) == layers[::-1]


def run_profile(folder: Path, known: Timeline) -> dict[str, Any]:
    context = folder / "c.serialized.bin"
    context.write_bytes(HEAD + TAIL)
    estimate.save(ESTIMATE, context)
    known.save(context)
    profile.main(Namespace(precision="int8", context=context, out=folder))
    report: dict[str, Any] = json.loads((folder / artefacts.profile_report("int8")).read_text())
    return report


def test_the_report_has_layers_kinds_and_the_slowest_operators(
    tmp_path: Path, activity: Timeline
) -> None:
    report = run_profile(tmp_path, activity)
    assert [row["name"] for row in report["layers"]] == ["layer 2", "layer 10", attribution.OUTSIDE]
    assert [row["name"] for row in report["kinds"]] == [
        *("FullyConnected", "Softmax"),
        attribution.UNNAMED,
    ]
    assert report["operators"][0]["layer"] == "layer 10"
    assert report["timeline"] == {
        "milliseconds": 0.001,
        "idle_milliseconds": 0.0001,
        "vtcm_peak_bytes": 2048,
    }
    lines = (tmp_path / artefacts.operators("int8")).read_text().splitlines()
    assert lines[0].startswith("name,kind,layer,unit,microseconds,HMX_microseconds")
    assert len(lines) == 1 + 3


def test_the_report_does_without_a_timeline(tmp_path: Path) -> None:
    report = run_profile(tmp_path, Timeline())
    assert "operators" not in report
    assert not (tmp_path / artefacts.trace("int8")).exists()


def test_the_trace_is_chromes_in_microseconds(tmp_path: Path, activity: Timeline) -> None:
    run_profile(tmp_path, activity)
    trace = json.loads((tmp_path / artefacts.trace("int8")).read_text())["traceEvents"]
    complete = [row for row in trace if row["ph"] == "X"]
    assert all({"name", "ts", "dur", "pid", "tid", "cat"} <= set(row) for row in complete)
    (matrix,) = (row for row in complete if row["cat"] == HMX)
    assert (matrix["name"], matrix["ts"], matrix["dur"]) == ("layer.10.mlp.up_proj", 0.4, 0.4)
    assert [row["args"]["bytes"] for row in trace if row["ph"] == "C"] == [2048, 512]
    assert {row["args"]["name"] for row in trace if row["name"] == "thread_name"} == {
        *activity.tracks
    }


def test_events_of_a_length_come_in_order(activity: Timeline) -> None:
    assert all(isinstance(event, Event) and event.length for event in activity.events)
    assert [event.start for event in activity.events] == sorted(e.start for e in activity.events)
