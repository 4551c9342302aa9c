"""Weights rounded with data in view: as GPTQ rounds them, better than to nearest, and no others."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from openqnn.network.onnx_network import Network
from openqnn.quantization import encodings, observe
from openqnn.quantization.encodings import Encodings
from scripts.quantization import rounding
from scripts.quantization.rounding import Moments, Planes

INPUTS, OUTPUTS, ROWS = 300, 70, 900


def _correlated(seed: int, rows: int, inputs: int) -> np.ndarray:
    """Rows with many directions of little energy, about a mean that is not zero."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((rows, inputs // 4)) @ random.standard_normal(
        (inputs // 4, inputs)
    )
    return np.asarray(mixed + 0.3 * random.standard_normal((rows, inputs)) + 2, np.float32)


def _steps(weight: np.ndarray) -> np.ndarray:
    return np.array(encodings.symmetric(np.abs(weight).max(axis=0), 4).scales)


def _gptq(weight: np.ndarray, steps: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """The published algorithm, column by column, with the Cholesky factor of the inverse."""
    order = np.argsort(-np.diag(hessian), kind="stable")
    damped = hessian[np.ix_(order, order)] + 0.01 * np.diag(hessian).mean() * np.eye(len(hessian))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    left, found = weight[order].copy(), np.empty_like(weight)
    for row in range(len(left)):
        found[order[row]] = np.clip(np.rint(left[row] / steps), -8, 7) * steps
        error = (left[row] - found[order[row]]) / factor[row, row]
        left[row:] -= np.outer(factor[row, row:], error)
    return found


def test_weights_are_those_of_the_published_algorithm() -> None:
    weight = np.random.default_rng(1).standard_normal((INPUTS, OUTPUTS))
    rows, steps = _correlated(2, ROWS, INPUTS).astype(np.float64), _steps(weight)
    found = Planes(rows.T @ rows).nearest(weight, steps, 4)
    assert (found == _gptq(weight, steps, rows.T @ rows)).mean() > 0.999  # but for ties of floats
    nearest = np.rint(weight / steps) * steps
    lost = [np.square(rows @ (weight - other)).sum() for other in (found, nearest)]
    assert lost[0] < 0.3 * lost[1]


def test_moments_are_those_of_all_rows_whatever_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _correlated(3, ROWS, INPUTS)
    weight = np.random.default_rng(4).standard_normal((INPUTS, OUTPUTS))
    results = []
    for cores in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        moments = Moments.of(np.split(rows[None], 3, axis=1), has_cls=False)
        assert moments.mean == pytest.approx(rows.mean(axis=0), abs=1e-5)
        results.append(moments.planes(centred=True).nearest(weight, _steps(weight), 4))
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    expected = Planes(centred.T @ centred).nearest(weight, _steps(weight), 4)
    assert np.array_equal(results[0], results[1])
    assert (results[0] == expected).mean() > 0.999


def test_cls_counts_as_if_it_stood_there_as_often_as_all_other_rows() -> None:
    """A bias takes up the weighted mean, so its correction is that of the repeated rows as well."""
    weight = np.random.default_rng(4).standard_normal((INPUTS, OUTPUTS))
    pictures = [_correlated(seed, 50, INPUTS) + seed for seed in range(10)]
    repeated = [np.concatenate([picture[:1]] * 48 + [picture]) for picture in pictures]
    once = Moments.of(pictures, has_cls=True)
    often = Moments.of(repeated, has_cls=False)
    assert once.mean == pytest.approx(often.mean, abs=1e-4)
    for centred in (False, True):
        expected = often.planes(centred=centred).nearest(weight, _steps(weight), 4)
        found = once.planes(centred=centred).nearest(weight, _steps(weight), 4)
        assert (found == expected).mean() > 0.99  # except ties of floats


def _tokens(seed: int) -> np.ndarray:
    """One picture's rows: all alike in kind but the first, which has directions of its own."""
    patches = _correlated(1, 2000, INPUTS)[np.random.default_rng(seed).choice(2000, 200)]
    weak = _correlated(2, 30, INPUTS)[np.random.default_rng(seed).choice(30, 1)]
    return np.concatenate([weak, patches])


def test_the_error_of_a_rare_row_that_is_judged_shrinks() -> None:
    weight = np.random.default_rng(4).standard_normal((INPUTS, OUTPUTS))
    pictures, unseen = ([_tokens(seed) for seed in seeds] for seeds in (range(30), range(90, 99)))
    lost = []
    for has_cls in (False, True):
        moments = Moments.of(pictures, has_cls=has_cls)
        error = weight - moments.planes(centred=True).nearest(weight, _steps(weight), 4)
        errors = np.square((np.array(unseen) - moments.mean) @ error).mean(axis=(0, 2))
        lost.append((errors[0], errors[1:].mean()))
    (cls_before, patches_before), (cls, patches) = lost
    assert cls + patches < 0.5 * (cls_before + patches_before)


def _network(folder: Path) -> Path:
    """Two layers with biases and one without, of more constants than fit into the file itself."""
    random = np.random.default_rng(5)
    shapes = {"a": (64, 96), "b": (96, 32), "c": (40, 96), "d": (32,), "e": (96,)}
    constants = [
        numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "a", "e"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["positive"]),
        helper.make_node("Gemm", ["positive", "b", "d"], ["y"]),
        helper.make_node("MatMul", ["positive", "c.columns"], ["z"]),
        helper.make_node("Concat", ["y", "z"], ["out"], axis=1),
    ]
    constants.append(
        numpy_helper.from_array(numpy_helper.to_array(constants[2]).T.copy(), "c.columns")
    )
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [50, 64]), ("out", [50, 72]))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [*constants[:2], *constants[3:]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = folder / "network.onnx"
    onnx.save(
        model, path, save_as_external_data=True, size_threshold=1024, location="network.onnx_data"
    )
    return path


def _rounded(folder: Path, *, with_data: bool) -> tuple[Network, float]:
    """The network with two of its three weights rounded, and what its outputs lose by it."""
    folder.mkdir()
    network = Network.load(_network(folder))
    pictures = [folder / f"{number}.raw" for number in range(8)]
    for seed, picture in enumerate(pictures):
        _correlated(seed, 50, 64).tofile(picture)
    (exact,) = observe.outputs(network, pictures[6:], "exact").values()
    named = {node.input[1]: node for node in network.graph.node if node.op_type != "Relu"}
    made = {name: rounding.least_squares(network, named[name], 4) for name in ("b", "c.columns")}
    if with_data:
        rounding.round_weights(network, Encodings({}, made), made, pictures[:6], cls=False)
    else:
        for name, encoding in made.items():
            weight, steps = np.asarray(network.array(name)), np.array(encoding.scales)
            rounding.overwrite(network, name, np.clip(np.rint(weight / steps), -8, 7) * steps)
    (found,) = observe.outputs(network, pictures[6:], "rounded").values()
    for name, encoding in made.items():
        numbers = np.asarray(network.array(name)) / np.array(encoding.scales)
        assert numbers == pytest.approx(np.rint(numbers), abs=1e-4)
        assert numbers.min() >= -8.01
        assert numbers.max() <= 7.01
    return network, float(np.square(np.concatenate(found) - np.concatenate(exact)).mean())


def test_a_network_loses_less_by_data_and_nothing_else_changes(tmp_path: Path) -> None:
    network, loss = _rounded(tmp_path / "data", with_data=True)
    _, of_nearest = _rounded(tmp_path / "nearest", with_data=False)
    assert loss < 0.7 * of_nearest
    (tmp_path / "source").mkdir()
    source = Network.load(_network(tmp_path / "source"))
    changed = {
        name
        for name in source.constants
        if not np.array_equal(source.array(name), network.array(name))
    }
    assert changed == {"b", "c.columns", "d"}
    assert network.constants["b"].data_location == onnx.TensorProto.EXTERNAL


def test_the_bias_takes_up_what_the_mean_loses(tmp_path: Path) -> None:
    """What is constant in the inputs costs no bit: the mean of a layer's outputs stays."""
    network, _ = _rounded(tmp_path / "data", with_data=True)
    (tmp_path / "source").mkdir()
    source = Network.load(_network(tmp_path / "source"))
    pictures = [tmp_path / "data" / f"{number}.raw" for number in range(6)]
    means = []
    for one in (source, network):
        (outputs,) = observe.outputs(one, pictures, "outputs").values()
        means.append(np.concatenate(outputs)[:, :32].mean(axis=0))
    assert means[1] == pytest.approx(means[0], rel=1e-3, abs=1e-2)
