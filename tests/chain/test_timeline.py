"""The timeline of real compiles: it costs no byte, and adds up to the compiler's own figures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import catalog
from scripts.htp import attribution, contexts, sdk
from scripts.htp import estimate as estimates
from scripts.htp.attribution import Attribution, Share
from scripts.htp.timeline import Timeline
from tests.chain.building import TARGET


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_it_changes_no_byte_and_adds_up(
    libraries: Callable[[str], dict[str, Path]], tmp_path: Path, precision: str
) -> None:
    library, known = libraries(precision)[sdk.HOST], catalog.precisions()[precision]
    plain, traced = (tmp_path / name / "c.serialized.bin" for name in ("plain", "traced"))
    contexts.compile_context(library, known, TARGET, plain)
    contexts.compile_context(library, known, TARGET, traced, trace=True)
    assert traced.read_bytes() == plain.read_bytes()
    assert sorted(path.name for path in plain.parent.iterdir()) == sorted(
        path.name for path in traced.parent.iterdir() if "timeline" not in path.name
    )
    estimate, timeline = estimates.required(estimates.load(traced)), Timeline.load(traced)
    divided = Attribution.of(timeline)
    for group in (attribution.name, attribution.layer, attribution.kind):
        total = sum(share.microseconds for share in divided.by(group).values()) + divided.idle
        assert total == pytest.approx(estimate.microseconds, rel=0.01)
    assert timeline.cycles == pytest.approx(estimate.cycles, rel=0.001)
    moved = sum(event.dram_bytes for event in timeline.events)
    assert moved == pytest.approx(estimate.ddr_bytes, rel=0.01)
    nameless = divided.by(attribution.name).get(attribution.UNNAMED, Share()).microseconds
    # Constants that several nodes share are of none of them.
    assert nameless < 0.03 * estimate.microseconds
    assert {f"layer {layer}" for layer in range(4)} < {*divided.by(attribution.layer)}
