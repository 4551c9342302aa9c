"""Which rewrites `lower` uses is what was measured of a network like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts import catalog
from scripts.bench import record_gains
from scripts.catalog import Measured
from scripts.errors import UsageError
from scripts.lowering import rewrites
from scripts.lowering.lower import lower
from tests.networks import vit

SMALL, LARGE = (201, 384), (201, 1280)
SAVED = {"halve-heads": -30.0, "pad-tokens": -5.0, "signed-rotary": 40.0, "rms-norms": 9.0}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """ViT-S at 224: halving heads costs 3 % of a layer, signing sines would save 4 %."""
    rows = [
        Measured("vits16", "224", "w8a16", 1000.0, SAVED, 2000.0),
        Measured("vith16plus", "224", "w8a16", 1000.0, {"halve-heads": 30.0, "pad-tokens": -90.0}),
    ]
    monkeypatch.setattr(catalog, "gains", lambda: rows)


def names(shape: rewrites.Shape | None, **how: list[str]) -> set[str]:
    return {rewrite.name for rewrite in rewrites.choose("w8a16", shape=shape, **how)}


@pytest.mark.usefixtures("measured")
def test_what_costs_is_left_out_and_what_would_save_is_taken() -> None:
    usual = names(None)
    assert names(SMALL) == usual - {"halve-heads"} | {"signed-rotary"}
    # Less than 2 % of a layer is the compiler's mood: nothing changes for it.
    assert "pad-tokens" in names(SMALL)
    assert "rms-norms" not in names(SMALL)


def test_a_few_microseconds_of_a_small_network_are_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [Measured("vits16", "224", "w8a16", 100.0, {"halve-heads": -4.0, "pad-tokens": -6.0})]
    monkeypatch.setattr(catalog, "gains", lambda: rows)
    assert {"halve-heads", "pad-tokens"} & names(SMALL) == {"halve-heads"}


@pytest.mark.usefixtures("measured")
def test_the_network_that_is_most_alike_counts() -> None:
    assert {"pad-tokens", "halve-heads"} & names(LARGE) == {"halve-heads"}
    assert names(LARGE) == names((256, 1024))
    assert names((400, 512)) == names(SMALL)
    # What was not measured of it is known of another one.
    assert "signed-rotary" in names(LARGE)
    assert rewrites.nearest("fp16", SMALL) is None
    assert rewrites.nearest("mixed", SMALL) is None


@pytest.mark.usefixtures("measured")
def test_the_command_line_overrules_what_was_measured() -> None:
    assert "halve-heads" in names(SMALL, added=["halve-heads"])
    assert "signed-rotary" not in names(SMALL, without=["signed-rotary"])
    with pytest.raises(UsageError, match="no-such"):
        rewrites.choose("int8", added=["no-such"])


@pytest.mark.usefixtures("measured")
def test_lower_looks_at_the_network_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = vit.write(tmp_path)
    applied = {row.name for row in lower(source, tmp_path / "out.onnx", "w8a16", [])}
    assert applied == names((vit.TOKENS, vit.WIDTH))
    written = capsys.readouterr().out
    assert "measured of vits16 at 224 pixels" in written
    assert f"201 tokens of 384 channels; here {vit.TOKENS} of {vit.WIDTH}" in written


def test_all_that_was_measured_names_rewrites_and_models() -> None:
    known = {rewrite.name for rewrite in rewrites.REWRITES}
    for row in catalog.gains():
        assert row.saved.keys() <= known
        assert row.precision in catalog.precisions()
        assert row.plain is None or row.layer < row.plain, (
            "as it is built, a layer is faster than without rewrites"
        )
        assert row.shape[0] > 5


def test_figures_of_one_layer_are_joined() -> None:
    old = Measured("vits16", "224", "int8", 100.0, {"pad-tokens": 5.0, "rms-norms": 1.0}, 200.0)
    new = Measured("vits16", "224", "int8", 100.0, {"rms-norms": 2.0}, recipe=150.0)
    both = Measured(
        "vits16", "224", "int8", 100.0, {"pad-tokens": 5.0, "rms-norms": 2.0}, 200.0, 150.0
    )
    assert record_gains.merged([old], [new]) == [both]
    # A layer's figures are differences of whole microseconds.
    assert record_gains.merged([replace(old, layer=100.1)], [new]) == [both]
    # Those of another layer, as it is built now, are of no use.
    assert record_gains.merged([old], [replace(new, layer=90.0)]) == [replace(new, layer=90.0)]


def test_in_simulated_time_a_layer_is_ahead_of_the_recipe() -> None:
    for row in catalog.gains():
        assert row.recipe is None or row.layer < row.recipe


def test_the_file_says_what_was_read_from_it() -> None:
    assert record_gains.DATA.read_text() == record_gains.data(catalog.gains())


def test_the_page_shows_what_was_measured() -> None:
    page = record_gains.PAGE.read_text()
    assert page == record_gains.with_tables(page, catalog.gains())
