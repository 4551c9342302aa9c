from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts import catalog
from scripts.bench import gains, times
from scripts.bench.gains import Bench, Gain
from scripts.bench.times import Time
from scripts.errors import CompileError
from scripts.htp import estimate
from scripts.lowering import rewrites
from scripts.quantization import norms, widths


def _trace(path: Path, missing: int) -> Path:
    rows = [f'"{name}",7' for name in estimate.NAMES.values()]
    rows.append(f'"{times.MISSING} (Number of Ops with no Costs associated)",{missing}')
    path.write_text("\n".join(["Event Identifier,Time", *rows]) + "\n")
    return path


def test_a_profile_tells_the_time_and_what_it_leaves_out(tmp_path: Path) -> None:
    assert Time.read(_trace(tmp_path / "profile.csv", 4)) == Time(7, 4)


class _Layers(Bench):
    """A bench whose compiler needs 100 us a layer, and 10 more for every rewrite left out."""

    usual = [rewrite.name for rewrite in rewrites.choose("int8")]

    def __init__(
        self, missing_a_layer: int = 0, wide_costs: int = 0, layer_norm_costs: int = 0
    ) -> None:
        self._twins = {depth: Path(f"{depth}") for depth in gains.DEPTHS}
        self._precision = catalog.precisions()["int8"]
        self._missing, self._wide_costs = missing_a_layer, wide_costs
        self._layer_norm_costs = layer_norm_costs

    def _time(
        self,
        twin: Path,
        names: Collection[str] | None,
        wide: Sequence[str],
        form: str = norms.RMS,
    ) -> Time:
        depth, slow = int(twin.name), 7 * (form == norms.RMS) * any(map(widths.of_stream, wide))
        slow += self._layer_norm_costs * (form == norms.LAYER)
        less = len(self.usual) - len(self.usual if names is None else names)
        of_widths = self._wide_costs * any(map(widths.of_softmax, wide))
        return Time(50 + depth * (100 + 10 * less + slow + of_widths), 4 + depth * self._missing)

    def _kinds(self) -> list[str]:
        return ["MatMul to Softmax", "Gemm to Add", "Add to Add and Norm"]


NAMES = [rewrite.name for rewrite in rewrites.REWRITES]


def test_a_rewrite_is_worth_what_a_layer_takes_longer_without_it() -> None:
    saved = [*gains.measure(_Layers(), NAMES)]
    used = [Gain(name, 110, 10) for name in _Layers.usual]
    assert [gain for gain in saved if gain.rewrite in _Layers.usual] == used
    # One that is not used would save 10.
    others = [gain for gain in saved if gain.rewrite not in _Layers.usual]
    assert {(gain.without, gain.saved) for gain in others} == {(100, 10)}
    assert {gain.rewrite for gain in saved} == set(NAMES)


def test_a_rewrite_whose_time_the_compiler_cannot_tell_is_left_out() -> None:
    class Layers(_Layers):
        def layer(self, names: Collection[str]) -> float:
            if "sum-inputs" in names:
                raise CompileError("The compiler's estimate leaves out operators of a layer.")
            return super().layer(names)

    measured = {gain.rewrite for gain in gains.measure(Layers(), NAMES)}
    assert measured == {*NAMES} - {"sum-inputs"}


def test_only_what_is_named_is_measured() -> None:
    pieces = [*gains._measured(_Layers(), ["pad-tokens", gains.PLAIN])]
    figures = {key: value for piece in pieces for key, value in piece.items()}
    assert figures == {
        "microseconds_with_all": 100,
        "microseconds_without_any": 100 + 10 * len(_Layers.usual),
        "rewrites": [{"rewrite": "pad-tokens", "without": 110, "saved": 10}],
    }


def test_what_was_compiled_is_not_compiled_again(tmp_path: Path) -> None:
    def refuse() -> dict[str, Any]:
        raise AssertionError

    path, known, other = tmp_path / times.TIMES, {"microseconds": 7}, {"microseconds": 8}
    assert times.Times(path).get([b"network", b"RMS"], lambda: known) == known
    assert times.Times(path).get([b"network", b"RMS"], refuse) == known
    assert times.Times(path).get([b"network", b"LN"], lambda: other) == other


@pytest.mark.parametrize(("cost", "wide"), [(-5, True), (5, False)])
def test_the_softmax_has_the_width_that_is_faster(cost: int, wide: bool) -> None:
    bench = _Layers(wide_costs=cost)
    assert any(map(widths.of_softmax, bench.wide)) == wide
    assert bench.layer(bench.usual) == 100 + min(cost, 0)


@pytest.mark.parametrize(("cost", "form"), [(-5, norms.LAYER), (5, norms.RMS)])
def test_norms_have_the_form_that_is_faster(cost: int, form: str) -> None:
    bench = _Layers(layer_norm_costs=cost)
    assert bench.form == form
    assert bench.layer(bench.usual) == 100 + min(cost, 0)


def test_operators_of_a_layer_without_a_cost_are_not_taken_for_free() -> None:
    with pytest.raises(CompileError, match="leaves out"):
        _Layers(missing_a_layer=1).layer([])


def test_both_forms_of_norms_are_timed_at_both_ends() -> None:
    times = _Layers().norm_forms()
    assert times["nothing"] == {norms.RMS: 100, norms.LAYER: 100}
    assert times["softmax"] == {norms.RMS: 100, norms.LAYER: 100}
    assert times["softmax and stream"] == {norms.RMS: 107, norms.LAYER: 100}
    assert times["everything"] == {norms.RMS: 107, norms.LAYER: 100}
