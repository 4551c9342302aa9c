"""Outputs against transformers: its hidden states, its last norm, and torch's own linear layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from scripts.lowering import rewrites
from scripts.lowering.lower import lower
from scripts.outputs import Outputs
from tests import checkpoints
from tests.unit.checkpoint.test_export import GATED, SIZE, model_of

pytestmark = pytest.mark.torch

HIDDEN, TOKENS, SIDE = 32, 21, 4
# As many classes as tokens: what pads tokens must tell them apart.
CLASSES = TOKENS
PICTURE = np.random.default_rng(1).standard_normal((1, 3, 32, 32)).astype(np.float32)
EVERY = "layers=0,2,cls,patches,features,tokens,head={0},patch-head={0}"


def _head(folder: Path) -> Path:
    from safetensors.numpy import save_file  # as torch, in the image only

    random = np.random.default_rng(2)
    weight = random.standard_normal((CLASSES, HIDDEN)).astype(np.float32)
    save_file({"weight": weight, "bias": random.standard_normal(CLASSES).astype(np.float32)},
              folder / "head.safetensors")  # fmt: skip
    return folder / "head.safetensors"


def _exported(folder: Path, checkpoint: Path, outputs: str) -> Path:
    from scripts.checkpoint import export, parity

    source = export.open_source(model_of(GATED), str(checkpoint), SIZE)
    source = export.with_outputs(source, Outputs.parse(outputs))
    export.write(source, "tiny", folder / "tiny.onnx")
    network = parity.Torch(source.config, source.weights, source.outputs, source.heads)
    parity.compare(folder / "tiny.onnx", network, [PICTURE]).require()
    shapes = {name: row["shape"] for name, row in export.described(source).items()}
    graph = onnx.load(folder / "tiny.onnx", load_external_data=False).graph
    assert shapes == {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in graph.output
    }
    return folder / "tiny.onnx"


def _run(file: Path) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, {"pixel_values": PICTURE}), strict=True))


def _expected(checkpoint: Path, head: Path) -> dict[str, np.ndarray]:
    """Compute every output with transformers and torch alone."""
    import torch
    from safetensors.torch import load_file
    from transformers import DINOv3ViTModel

    network = DINOv3ViTModel.from_pretrained(checkpoint).eval()
    linear = torch.nn.Linear(HIDDEN, CLASSES)
    linear.load_state_dict(load_file(head))
    with torch.no_grad():
        expected = network(torch.from_numpy(PICTURE), output_hidden_states=True)
        tokens = expected.last_hidden_state
        normed = {k: network.norm(expected.hidden_states[k + 1])[:, 5:] for k in (0, 2)}

        def picture(rows: torch.Tensor) -> torch.Tensor:
            return rows.transpose(1, 2).reshape(1, -1, SIDE, SIDE)

        actual = {
            "layer_0": picture(normed[0]),
            "layer_2": picture(normed[2]),
            "cls": tokens[:, 0],
            "patches": tokens[:, 5:],
            "features": picture(tokens[:, 5:]),
            "last_hidden_state": tokens,
            "head": linear(tokens[:, 0]),
            "patch_head": picture(linear(tokens[:, 5:])),
        }
    return {name: value.numpy() for name, value in actual.items()}


def _same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert [*actual] == [*expected]
    for name, values in expected.items():
        assert actual[name].shape == values.shape, name
        np.testing.assert_allclose(actual[name], values, atol=1e-4, err_msg=name)


def test_every_output_is_what_transformers_gives_and_stays_so_in_every_form(tmp_path: Path) -> None:
    folder, head = checkpoints.write(tmp_path / "hf"), _head(tmp_path)
    file, expected = _exported(tmp_path, folder, EVERY.format(head)), _expected(folder, head)
    _same(_run(file), expected)
    for precision in rewrites.EVERY:
        applied = lower(file, tmp_path / f"{precision}.onnx", precision, [])
        assert {row.name: row.fired for row in applied}["pad-tokens"] == 1
        _same(_run(tmp_path / f"{precision}.onnx"), expected)


def test_what_no_output_needs_is_left_out(tmp_path: Path) -> None:
    folder, head = checkpoints.write(tmp_path / "hf"), _head(tmp_path)
    file = _exported(tmp_path, folder, "layers=0")
    _same(_run(file), {"layer_0": _expected(folder, head)["layer_0"]})
    weights = {tensor.name for tensor in onnx.load(file).graph.initializer}
    assert "layer.0.mlp.up_proj.weight" in weights
    assert "norm.weight" in weights
    assert not any(name.startswith(("layer.1.", "layer.2.")) for name in weights)


@pytest.mark.parametrize("outputs", ["head={0}", "layers=1,tokens"])
def test_a_few_outputs_stay_in_every_form(tmp_path: Path, outputs: str) -> None:
    folder, head = checkpoints.write(tmp_path / "hf"), _head(tmp_path)
    file = _exported(tmp_path, folder, outputs.format(head))
    expected = _run(file)
    for precision in rewrites.EVERY:
        lower(file, tmp_path / f"{precision}.onnx", precision, [])
        _same(_run(tmp_path / f"{precision}.onnx"), expected)


def test_the_tokens_alone_leave_the_graph_as_it_was(tmp_path: Path) -> None:
    from scripts.checkpoint import export

    folder = checkpoints.write(tmp_path / "hf")
    source = export.open_source(model_of(GATED), str(folder), SIZE)
    export.write(source, "tiny", tmp_path / "plain.onnx")
    same = export.with_outputs(source, Outputs.parse("tokens"))
    (tmp_path / "other").mkdir()
    export.write(same, "tiny", tmp_path / "other" / "plain.onnx")
    assert (tmp_path / "other/plain.onnx").read_bytes() == (tmp_path / "plain.onnx").read_bytes()
