from pathlib import Path

import numpy as np
import onnx
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import qdq, recipe, sharing
from openqnn.quantization.encodings import Encodings
from openqnn.quantization.observe import Range
from scripts import catalog, metrics
from scripts.errors import UsageError
from scripts.lowering.lower import lower
from scripts.outputs import TOKENS
from scripts.quantization import calibration, forms, norms, twins, widths
from scripts.quantization.calibration import Unseen
from scripts.quantization.forms import Forms
from scripts.quantization.pins import Pins
from scripts.quantization.search import Kind, kinds
from tests.networks import observing, vit
from tests.unit.quantization.test_equalise import _pictures


def _encoded(network: Network, bits: int = 8) -> Encodings:
    recipe.separate_constants(network)
    limits = dict.fromkeys(recipe.measured(network), Range(-2.0, 2.0))
    return recipe.encoded(network, limits, [], "min-max", bits)


def _centred(folder: Path, layers: int = 2) -> Network:
    """A network as `lower` leaves it: RMSNorms that read a centred stream."""
    lowered = folder / "lowered.onnx"
    lower(vit.write(folder, layers=layers), lowered, "int8", [])
    return Network.load(lowered)


def test_both_forms_of_a_norm_are_the_same_on_a_centred_stream(tmp_path: Path) -> None:
    network = _centred(tmp_path)
    files = _pictures(tmp_path / "unseen", 2, seed=3)
    centred = observing.centred(network, files)
    found = forms.plain(network, _encoded(network), centred=centred)
    assert list(found) == [norms.RMS, norms.LAYER]
    unseen = observing.unseen(network, files)
    for other, encodings in found.values():
        qdq.check(other, encodings)
        assert _loss(unseen, observing.unseen(other, files)) < 1e-6


def test_rounding_weights_leaves_both_forms(tmp_path: Path) -> None:
    """What it adds to the stream is not centred, and LayerNormalization takes that mean out."""
    files = _pictures(tmp_path / "unseen", 4, seed=3)
    centred = _centred(tmp_path, layers=4)
    unseen = observing.unseen(centred, files)
    rounded = tmp_path / "rounded.onnx"
    precision = catalog.precisions()["w4a16"]
    seen = _pictures(tmp_path / "seen", 6, seed=4)
    source = calibration.Source(tmp_path / "lowered.onnx", seen, files, "min-max", equal=True)
    encodings = source.encoded(precision, rounded)
    network = Network.load(rounded)
    assert not observing.centred(network, files)
    made = forms.plain(network, encodings, centred=source.observed.centred)
    assert list(made) == [norms.RMS, norms.LAYER]
    lost = [_loss(unseen, observing.unseen(other, files)) for other, _ in made.values()]
    assert 0 < lost[1] < 1.02 * lost[0]


def _loss(expected: Unseen, found: Unseen) -> float:
    pair = (metrics.vectors(unseen.reference[TOKENS]) for unseen in (expected, found))
    return float(1 - metrics.cosine(*pair).mean())


def test_a_stream_that_is_not_centred_keeps_its_norms(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path, rms=True))
    centred = observing.centred(network, _pictures(tmp_path / "unseen", 2, seed=3))
    found = forms.plain(network, _encoded(network), centred=centred)
    assert list(found) == [norms.RMS]


def test_layer_norms_stay_what_they_are(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path))
    made = forms.plain(network, _encoded(network), centred=False)
    assert list(made) == [norms.LAYER]


def test_a_twin_is_whole_layers_spread_over_the_depth(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path, layers=9))
    encodings = _encoded(network)
    small, its = twins.twin(network, encodings)
    qdq.check(small, its)
    onnx.checker.check_model(small.model)
    assert len(small.graph.node) < len(network.graph.node) / 2
    softmaxes = [node.output[0] for node in small.graph.node if node.op_type == "Softmax"]
    every = [node.output[0] for node in network.graph.node if node.op_type == "Softmax"]
    assert softmaxes == [every[0], every[4], every[8]]


def test_a_twin_computes_what_a_network_of_its_layers_does(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path, layers=4))
    small, _ = twins.twin(network, _encoded(network))
    pictures = _pictures(tmp_path / "unseen", 1, seed=3)
    # Layers 0, 2 and 3; the layer that is left out is put back where the others read its input.
    ours, whole = (observing.unseen(each, pictures).reference[TOKENS] for each in (small, network))
    assert not np.allclose(ours, whole)
    (tmp_path / "three").mkdir()
    three = Network.load(vit.write(tmp_path / "three", layers=3))
    assert [n.op_type for n in small.graph.node] == [n.op_type for n in three.graph.node]


def test_a_shallow_network_is_its_own_twin(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path, layers=3))
    encodings = _encoded(network)
    assert twins.twin(network, encodings) == (network, encodings)


@pytest.mark.parametrize("wide_is_faster", [True, False])
def test_softmax_has_the_width_that_is_faster(tmp_path: Path, wide_is_faster: bool) -> None:
    network = Network.load(vit.write(tmp_path))
    encodings = _encoded(network)

    def time(_: Network, made: Encodings) -> float:
        count = sum(one.bits == widths.WIDE for one in made.activations.values())
        return 1000.0 - count if wide_is_faster else count

    free = Forms({norms.LAYER: (network, encodings)}, time).free(kinds(network))
    assert bool(free) is wide_is_faster
    assert all("Softmax" in kind.name for kind in free)


def test_more_16_bits_are_taken_where_they_are_faster(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path))
    encodings, every = _encoded(network), set(sharing.quantized_as(network))

    def time(_: Network, made: Encodings) -> float:
        wide = {name for name, one in made.activations.items() if one.bits == widths.WIDE}
        return 1.0 if wide >= every else 2.0

    found = Forms({norms.LAYER: (network, encodings)}, time).fastest(
        {"the choice": set(list(every)[:3]), "all at 16 bits": every}
    )
    assert found.what == "all at 16 bits"


@pytest.mark.parametrize(("choice", "simulated"), [(1.05, 1), (1.2, 2)])
def test_everything_at_16_bits_is_not_tried_where_a_choice_costs_next_to_nothing(
    tmp_path: Path, choice: float, simulated: int
) -> None:
    network = Network.load(vit.write(tmp_path))
    times = [1.0, 1.1, choice, 1.5]
    made = Forms({norms.LAYER: (network, _encoded(network))}, lambda *_: times.pop(0))
    made.free(kinds(network))
    some, *every = network.float_tensors()
    form = made.fastest({"the choice": {some}, forms.EVERYTHING: {some, *every}})
    assert form.what == "the choice"
    assert len(made.report()) == 2 + simulated


def _pins(folder: Path, text: str) -> Pins:
    file = folder / "widths.json"
    file.write_text(text)
    return Pins.load(file, Network.load(vit.write(folder)))


def test_pins_name_kinds_and_tensors(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path))
    stream = widths.kinds(network)["Add to Add and Norm"]
    pins = _pins(
        tmp_path,
        f'{{"16": {{"Softmax to MatMul": "all"}}, "8": {{"Add to Add and Norm": ["{stream[1]}"]}}, '
        '"why": {"reason": "any"}}',
    )
    assert pins.wide == frozenset(widths.kinds(network)["Softmax to MatMul"])
    assert pins.narrow == frozenset([stream[1]])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"16": {"Tanh to Conv": "all"}}', "names 'Tanh to Conv'"),
        ('{"8": {"Softmax to MatMul": ["Add7"]}}', "names 'Add7'"),
    ],
)
def test_pins_that_fit_nothing_are_refused(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        _pins(tmp_path, text)


def test_kinds_know_stream_and_softmax(tmp_path: Path) -> None:
    found: list[Kind] = kinds(Network.load(vit.write(tmp_path)))
    stream = {kind.name for kind in found if widths.of_stream(kind.name)}
    assert stream == {"Concat to Add and Norm", "Add to Add and Norm", "Add to Norm"}
    assert {kind.name for kind in found if widths.of_softmax(kind.name)} == {
        "Softmax to MatMul",
        "Mul to Softmax",
    }


def test_norms_have_the_form_that_is_fast_at_what_they_read(tmp_path: Path) -> None:
    network = _centred(tmp_path)
    encodings = _encoded(network)
    plain = forms.plain(network, encodings, centred=True)
    streams = [n.input[0] for n in network.graph.node if n.op_type == norms.RMS]

    def time(other: Network, _: Encodings) -> float:
        fast = {streams[0]: norms.LAYER} | dict.fromkeys(streams[1:], norms.RMS)
        found = {n.input[0]: n.op_type for n in other.graph.node if n.input[0] in fast}
        return float(sum(found[name] != operator for name, operator in fast.items()))

    form = Forms(plain, time).fastest({"the choice": {streams[0]}})
    assert form.norm == norms.BY_WIDTH
    assert form.milliseconds == 0
    qdq.check(form.network, form.encodings)
