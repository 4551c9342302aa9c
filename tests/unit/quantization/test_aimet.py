"""AIMET's encodings of a network become ours, and ours AIMET's, without a number changed."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import recipe
from openqnn.quantization.encodings import Encodings
from scripts import aimet_encodings, catalog
from scripts.aimet_encodings import Grid
from scripts.errors import UsageError
from scripts.quantization import aimet, norms
from scripts.refusal import as_here
from tests.networks import small_network

Grids = dict[str, Grid]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    small_network.write_raws(tmp_path / "set")
    return small_network.write(tmp_path)


@pytest.fixture
def ours(source: Path) -> Encodings:
    samples = sorted((source.parent / "set").glob("*.raw"))
    return recipe.calibrated(Network.load(source), samples, "min-max", 16, 8)


@pytest.fixture
def grids(source: Path, ours: Encodings) -> Grids:
    network = Network.load(source)
    recipe.separate_constants(network)
    return aimet.grids(network, ours)


def adopted(source: Path, grids: Grids, precision: str = "w8a16") -> Encodings:
    file = source.with_suffix(".encodings")
    aimet_encodings.write(file, grids)
    target = source.with_name("adopted.onnx")
    return aimet.adopted(source, target, file, catalog.precisions()[precision])


def test_what_aimet_derives_is_derived(source: Path, ours: Encodings, grids: Grids) -> None:
    assert set(grids) < {*ours.activations, *ours.params}
    assert adopted(source, grids) == ours


def test_weights_of_four_bits_are_taken_where_the_precision_has_them(source: Path) -> None:
    samples = sorted((source.parent / "set").glob("*.raw"))
    ours = recipe.calibrated(Network.load(source), samples, "min-max", 16, 4)
    network = Network.load(source)
    recipe.separate_constants(network)
    grids = aimet.grids(network, ours)
    assert adopted(source, grids, "w4a16") == ours
    with pytest.raises(UsageError, match="has 4 bits: weights have 8"):
        adopted(source, grids)
    grids[weight(grids)] = replace(grids[weight(grids)], bits=8)
    assert adopted(source, grids, "w4a16").params != ours.params


def test_its_network_has_the_same_values(source: Path, grids: Grids) -> None:
    adopted(source, grids)
    before, after = Network.load(source), Network.load(source.with_name("adopted.onnx"))
    for name in before.constants.keys() & after.constants.keys():
        assert before.array(name).tobytes() == after.array(name).tobytes()


def weight(grids: Grids) -> str:
    return next(name for name, grid in grids.items() if len(grid.scales) > 1)


def activation(grids: Grids) -> str:
    return next(iter(grids))


def changed(pick: Callable[[Grids], str], **changes: object) -> Callable[[Grids], Grids]:
    def change(grids: Grids) -> Grids:
        name = pick(grids)
        return {**grids, name: replace(grids[name], **changes)}  # type: ignore[arg-type]

    return change


def without(pick: Callable[[Grids], str]) -> Callable[[Grids], Grids]:
    return lambda grids: {name: grids[name] for name in grids if name != pick(grids)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without(activation), "has no grid"),
        (without(weight), "has no grid"),
        (changed(activation, bits=8), "has 8 bits, and w8a16 has 16"),
        (changed(activation, offsets=(3,)), "has a range without zero"),
        (changed(weight, bits=4), "has 4 bits: weights have 8"),
        (changed(weight, axis=3), "has no scale for each of its"),
        (lambda grids: {**grids, "elsewhere": grids[activation(grids)]}, "'elsewhere'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    source: Path, grids: Grids, change: Callable[[Grids], Grids], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        adopted(source, change(grids))


def test_encodings_that_a_build_wrote_for_its_own_network_are_told(
    source: Path, grids: Grids
) -> None:
    own = {**grids, f"{norms.NO_SHIFT}.96": grids[weight(grids)]}
    with pytest.raises(UsageError, match="of the equalised network, not of the lowered one"):
        adopted(source, own)


def test_a_fault_is_said_of_the_file_that_the_user_named(source: Path, grids: Grids) -> None:
    """The container has another name for it; the host puts its own in place of a whole path."""
    file = source.with_suffix(".encodings")
    for change in (changed(activation, bits=8), lambda own: {**own, "other": own[weight(own)]}):
        with pytest.raises(UsageError) as refusal:
            adopted(source, change(grids))
        here = as_here(refusal.value.what, {str(file): Path("/home/me/mine.encodings")})
        assert "/home/me/mine.encodings" in here


@pytest.mark.parametrize("scale", [2.0**-63, 2.0**47])
@pytest.mark.parametrize("pick", [activation, weight])
def test_scales_at_the_ends_of_what_is_read_leave_finite_encodings(
    source: Path, grids: Grids, pick: Callable[[Grids], str], scale: float
) -> None:
    scales = (scale,) * len(grids[pick(grids)].scales)
    encodings = adopted(source, changed(pick, scales=scales)(grids))
    file = source.with_name("encodings.json")
    encodings.save(file)
    assert not {"Infinity", "NaN"} & set(re.findall(r"[A-Z]\w+", file.read_text()))
    for encoding in (*encodings.activations.values(), *encodings.params.values()):
        ends = [number * 2.0**encoding.bits for number in encoding.scales]
        assert np.isfinite(np.array(ends, np.float32)).all()
