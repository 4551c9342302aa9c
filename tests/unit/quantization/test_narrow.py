"""Which weights get four bits, and that they fit whatever widths activations get."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import qdq, recipe
from scripts import catalog
from scripts.lowering.lower import lower
from scripts.quantization import calibration, narrow, widths
from scripts.quantization.calibration import Source
from tests.networks import vit

LAYERS = 2
# Query, key and value (in int8 one each), output; gate, up and down.
ATTENTION, MLP = 4, 3


def _lowered(folder: Path, precision: str, *, gated: bool = True) -> Path:
    lower(vit.write(folder, gated=gated, layers=LAYERS), folder / "lowered.onnx", precision, [])
    return folder / "lowered.onnx"


def _pictures(folder: Path) -> list[Path]:
    random, paths = np.random.default_rng(7), [folder / f"{number}.raw" for number in range(6)]
    for path in paths:
        random.standard_normal((1, 3, vit.SIZE, vit.SIZE), np.float32).tofile(path)
    return paths


@pytest.mark.parametrize("gated", [True, False])
def test_linear_layers_are_told_from_embeddings_and_rotations(
    tmp_path: Path, *, gated: bool
) -> None:
    network = Network.load(_lowered(tmp_path, "w4a8", gated=gated))
    counts = [len(narrow.linears(network, scope)) for scope in catalog.LINEARS]
    mlp = MLP if gated else MLP - 1
    assert counts == [LAYERS * mlp, LAYERS * (ATTENTION + mlp)]
    rotations = [node for node in network.graph.node if node.op_type == "MatMul"]
    assert len(rotations) > LAYERS  # there are some, and none of them is among these


def test_rotations_of_an_equalised_network_keep_their_bits(tmp_path: Path) -> None:
    """Channels that are equalised have factors where a rotation had signs."""
    precision, source = catalog.precisions()["w4a16"], _source(tmp_path, "w4a16")
    made = source.encoded(precision, tmp_path / "quantised.onnx")
    few = [name for name, encoding in made.params.items() if encoding.bits == 4]
    assert len(few) == len(narrow.linears(Network.load(source.network), catalog.EVERY_LINEAR))


def test_every_precision_of_four_bits_says_which_layers() -> None:
    for precision in catalog.precisions().values():
        assert (precision.linears in catalog.LINEARS) == (precision.weights < 8)


def test_the_other_weights_of_a_budget_are_of_a_precision_like_it() -> None:
    precisions = catalog.precisions()
    budgeted = [precision for precision in precisions.values() if precision.budgeted]
    assert budgeted
    for precision in budgeted:
        narrower = precisions[precision.narrower]
        assert narrower.weights < precision.weights
        assert narrower.activations == precision.activations
        assert narrower.lowered_as == precision.lowered_as


def _source(folder: Path, name: str) -> Source:
    return Source(_lowered(folder, name), _pictures(folder), (), "min-max", equal=True)


@pytest.mark.parametrize("name", ["w4a8", "w4a16"])
def test_integers_are_those_of_rounding_whatever_is_raised(tmp_path: Path, name: str) -> None:
    """Scales fit biases for 16-bit inputs from the start: raising changes no weight."""
    precision, path = catalog.precisions()[name], tmp_path / "quantised.onnx"
    made = _source(tmp_path, name).encoded(precision, path)
    network = Network.load(path)
    few = [one for one, encoding in made.params.items() if encoding.bits == 4]
    assert few == [node.input[1] for node in narrow.linears(network, precision.linears)]
    raised = widths.raised(network, made, made.activations)
    assert {name: raised.params[name] for name in few} == {name: made.params[name] for name in few}
    for weight in few:
        numbers = np.asarray(network.array(weight)) / np.array(made.params[weight].scales)
        assert numbers == pytest.approx(np.rint(numbers), abs=1e-3)
    qdq.write(network, raised, tmp_path / "integers.onnx")
    integers = Network.load(tmp_path / "integers.onnx")
    assert {str(integers.array(f"{weight}.4.q").dtype) for weight in few} == {"int4"}


def test_a_bias_that_is_large_widens_the_scales_before_weights_are_rounded(tmp_path: Path) -> None:
    path = _lowered(tmp_path, "w4a8")
    shutil.copy(path, tmp_path / "own.onnx")
    network, pictures = Network.load(path), _pictures(tmp_path)
    recipe.separate_constants(network)
    data = tmp_path / "own.onnx_data"
    extremes = Source(path, pictures, (), "min-max", equal=False).observed.extremes
    network, limits = calibration.scaled(network, extremes, data, equal=False)
    node = next(n for n in narrow.linears(network, catalog.MLPS) if len(n.input) == 3)
    constant = network.constants[node.input[2]]
    large = np.asarray(network.array(node.input[2])) + 1e6
    constant.raw_data = large.astype(np.float32).tobytes()
    made = recipe.encoded(network, limits, pictures, "min-max", 8)
    few = narrow.narrowed(network, made, pictures, 4, catalog.MLPS)
    steps = np.array(few.params[node.input[1]].scales)
    numbers = np.asarray(network.array(node.input[1])) / steps
    assert np.abs(numbers - np.rint(numbers)).max() < 1e-3
    # It refuses a bias that does not fit.
    qdq.write(network, widths.raised(network, few, few.activations), tmp_path / "integers.onnx")


def test_a_coarse_grid_has_the_range_of_the_fine_one_for_these_layers_alone(tmp_path: Path) -> None:
    path, precision = tmp_path / "quantised.onnx", catalog.precisions()["mixed"]
    made = _source(tmp_path, "mixed").encoded(precision, path)
    network, narrower = Network.load(path), catalog.precisions()[precision.narrower]
    coarse = narrow.coarse(network, made, narrower.weights, narrower.linears)
    few = {node.input[1] for node in narrow.linears(network, narrower.linears)}
    assert {name for name, encoding in coarse.params.items() if encoding.bits == 4} == few
    for name, encoding in made.params.items():
        if name in few:
            assert coarse.params[name].scales == pytest.approx(np.array(encoding.scales) * 127 / 7)
        else:
            assert coarse.params[name] == encoding
    qdq.write(network, coarse, tmp_path / "integers.onnx")
