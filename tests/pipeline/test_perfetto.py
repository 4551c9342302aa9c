"""The timeline of a real build, as Perfetto reads it."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import artefacts
from scripts.pipeline.build import Done
from scripts.pipeline.request import Request
from tests import perfetto
from tests.perfetto import Perfetto

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]
THREADS = """
select thread.name, count(*) from slice
join thread_track on slice.track_id = thread_track.id join thread using (utid) group by 1
"""
KINDS = """
select extract_arg(arg_set_id, 'args.kind'), count(*) from slice group by 1
"""
BYTES = "select sum(extract_arg(arg_set_id, 'args.dram_bytes')) from slice"
VTCM = """
select max(value) from counter
join counter_track on track_id = counter_track.id where counter_track.name like 'VTCM in use%'
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Perfetto]:
    with perfetto.opened(tmp_path_factory.mktemp("perfetto")) as opened:
        yield opened


def slices(path: Path) -> list[dict[str, Any]]:
    return [row for row in json.loads(path.read_text())["traceEvents"] if row["ph"] == "X"]


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_perfetto_reads_all_of_it(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    page: Perfetto,
    precision: str,
) -> None:
    build(precision=precision)
    root = ask(precision=precision).root
    ours = slices(root / artefacts.trace(precision))
    profile = json.loads((root / artefacts.profile_report(precision)).read_text())
    trace = page.open(root / artefacts.trace(precision))
    assert trace.faults() == {}
    ((count, deepest, length),) = trace.rows(
        "select count(*), max(depth), max(ts + dur) - min(ts) from slice"
    )
    # No slice of a thread is within another.
    assert (count, deepest) == (len(ours), 0)
    assert length / 1e6 == pytest.approx(profile["timeline"]["milliseconds"], rel=1e-3)
    assert sum(dict(trace.rows(THREADS)).values()) == count
    assert {"main, HMX", "HVX 1", "DMA"} <= dict(trace.rows(THREADS)).keys()
    assert dict(trace.rows(KINDS)) == Counter(row["args"]["kind"] for row in ours)
    assert trace.rows(BYTES) == [[sum(row["args"]["dram_bytes"] for row in ours)]]
    assert trace.rows(VTCM) == [[profile["timeline"]["vtcm_peak_bytes"]]]


def test_what_would_be_wrong_is_noticed(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    page: Perfetto,
    tmp_path: Path,
) -> None:
    """A moment that is no number is refused, and slices that overlap are dropped."""
    build()
    text = (ask().root / artefacts.trace("int8")).read_text()
    longer = tmp_path / "longer.json"
    longer.write_text(re.sub(r'"dur":', '"dur":9', text, count=3))
    assert "slice_drop_overlapping_complete_event" in page.open(longer).faults()
    damaged = tmp_path / "damaged.json"
    damaged.write_text(re.sub(r'"ts":[0-9.]+', '"ts":"x"', text, count=5))
    with pytest.raises(AssertionError, match="JSON trace file is incomplete"):
        page.open(damaged)
