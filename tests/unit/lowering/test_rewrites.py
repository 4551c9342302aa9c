"""What rewrites say: their transformation, how often they fired, and why they did not."""

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from openqnn.network.onnx_network import Network
from scripts import artefacts
from scripts.errors import ConversionError
from scripts.lowering import rewrites
from scripts.lowering.fired import DONE, Fired, each
from scripts.lowering.graph import Graph
from scripts.lowering.lower import lower
from scripts.lowering.pixels import take_bytes
from scripts.lowering.rewrites import Applied
from scripts.picture_size import PictureSize
from scripts.pictures.preprocess import Preprocessing
from scripts.source import ROOT
from scripts.stages import lower as lower_stage
from tests.networks import vit
from tests.unit.lowering.comparison import assert_same, run

LAYERS = 3
PIXELS = Preprocessing(PictureSize.square(vit.SIZE))
EVERY_REWRITE = [*rewrites.REWRITES, rewrites.of_input(PIXELS)]
# A layer scales two sums, rotates queries and keys, and normalises twice. Six of its seven linear
# layers have a bias: the keys have none, so they are no Gemm.
FIRED = {
    "fold-layer-scale": 2 * LAYERS,
    "fold-attention-scale": LAYERS,
    "whole-rotary": 2 * LAYERS,
    "signed-rotary": 2 * LAYERS,
    "summed-rotary": 2 * LAYERS,
    "flat-linears": 6 * LAYERS,
    "pad-tokens": 1,
    "joined-rotary": 2 * LAYERS,
    "split-heads": LAYERS,
    "rms-norms": 2 * LAYERS,
    "group-heads": LAYERS,
    "halve-heads": LAYERS,
    "sum-inputs": 2 * LAYERS,  # gate and up
    "narrow-linears": 3 * LAYERS,  # the larger parts of gate and up, and down
    "split-tokens": 4 * LAYERS,  # the larger parts of gate and up, two columns each
    "take-bytes": 1,
}


def _applied(source: Path, precision: str, *without: str) -> dict[str, Applied]:
    graph = Graph(Network.load(source))
    selection = [*rewrites.choose(precision, without), rewrites.of_input(PIXELS)]
    return {applied.name: applied for applied in rewrites.apply(graph, selection)}


def _sigmoid(folder: Path) -> Path:
    """Write a network that has nothing of a transformer."""
    pixels, output = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8])
        for name in ("pixel_values", "last_hidden_state")
    )
    node = helper.make_node("Sigmoid", [pixels.name], [output.name])
    model = helper.make_model(
        helper.make_graph([node], "sigmoid", [pixels], [output]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    onnx.save(model, folder / "sigmoid.onnx")
    return folder / "sigmoid.onnx"


@pytest.mark.parametrize("precision", ["fp16", "int8", "w8a16"])
def test_each_fires_as_often_as_the_network_has_places(tmp_path: Path, precision: str) -> None:
    applied = _applied(vit.write(tmp_path, layers=LAYERS), precision)
    fired = {name: rewrite.fired for name, rewrite in applied.items()}
    assert fired == {name: FIRED[name] for name in applied}


def test_every_rewrite_is_counted() -> None:
    assert {rewrite.name for rewrite in EVERY_REWRITE} == FIRED.keys()


@pytest.mark.parametrize("rewrite", rewrites.REWRITES, ids=lambda rewrite: rewrite.name)
def test_each_says_why_a_network_without_its_pattern_stays(
    tmp_path: Path, rewrite: rewrites.Rewrite
) -> None:
    graph = Graph(Network.load(_sigmoid(tmp_path)))
    (applied,) = rewrites.apply(graph, [rewrite])
    assert (applied.fired, applied.nodes_before, applied.nodes_after) == (0, 1, 1)
    (reason,) = applied.reasons
    assert len(reason.split()) > 3


def test_bytes_are_refused_where_nothing_normalises_them(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="patch embedding"):
        take_bytes(Graph(Network.load(_sigmoid(tmp_path))), PIXELS)


@pytest.mark.parametrize("rms", [False, True])
@pytest.mark.parametrize("form", ["gemm", "conv"])
@pytest.mark.parametrize("precision", rewrites.EVERY)
def test_what_does_not_fit_stays_and_the_function_too(
    tmp_path: Path, precision: str, form: str, rms: bool
) -> None:
    source = vit.write(tmp_path, form=form, rms=rms)
    target = tmp_path / "lowered.onnx"
    applied = {rewrite.name: rewrite for rewrite in lower(source, target, precision, [])}
    assert_same(run(target), run(source))
    assert [*applied["fold-layer-scale"].reasons] == [
        "the scaled tensor is not the output of a linear layer"
    ]
    assert [*applied["flat-linears"].reasons] == [
        "a linear layer is a Gemm or a Conv, not a MatMul"
    ]


def _add_reader(model: onnx.ModelProto) -> None:
    """Let the first sum add what LayerScale scales, unscaled, to what it made of it."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if len(shapes.get(node.input[-1], ())) == 1]
    scaled = next(node for node in nodes if node.op_type == "Mul")
    residual = next(node for node in model.graph.node if scaled.output[0] in node.input)
    residual.input[1] = scaled.input[0]


def _change_tables(model: onnx.ModelProto) -> None:
    """Make the halves of cosines and sines differ."""
    for tensor in model.graph.initializer:
        if tuple(tensor.dims) == (vit.PATCHES, vit.HEAD):
            values = numpy_helper.to_array(tensor).copy()
            values[:, 0] += 0.5
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _put_relu(model: onnx.ModelProto) -> None:
    """Put a Relu between the first LayerNorm and one of its readers."""
    nodes = list(model.graph.node)
    norm = next(node for node in nodes if node.op_type == "LayerNormalization")
    reader = next(node for node in nodes if norm.output[0] in node.input)
    reader.input[0] = "relu"
    relu = helper.make_node("Relu", [norm.output[0]], ["relu"])
    model.graph.node.insert(nodes.index(reader), relu)


@pytest.mark.parametrize(
    ("change", "name", "fired", "reason"),
    [
        (_add_reader, "fold-layer-scale", 3, "the unscaled output has other readers"),
        (_change_tables, "summed-rotary", 0, "the halves of the sines differ"),
        (_put_relu, "rms-norms", 0, "Relu reads a LayerNorm"),
    ],
)
def test_a_place_that_would_change_the_function_stays(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None], name: str, fired: int, reason: str
) -> None:
    source, target = vit.write(tmp_path), tmp_path / "lowered.onnx"
    model = onnx.load(source)
    change(model)
    onnx.save(model, source)
    applied = {rewrite.name: rewrite for rewrite in lower(source, target, "int8", [])}
    assert applied[name].fired == fired
    assert [*applied[name].reasons] == [reason]
    assert_same(run(target), run(source))


def test_tokens_that_fill_tiles_are_not_padded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.lowering.tokens.TILE_ROWS", vit.TOKENS)
    padding = _applied(vit.write(tmp_path), "int8")["pad-tokens"]
    assert padding.fired == 0
    assert [*padding.reasons] == [f"{vit.TOKENS} tokens fill tiles of {vit.TOKENS} rows already"]


def test_every_place_is_counted_with_its_reason() -> None:
    outcomes = {"a": DONE, "b": "too small", "c": DONE, "d": "too small"}
    assert each(outcomes, outcomes.__getitem__, "nothing") == Fired(2, {"too small": 2})
    assert each([], outcomes.__getitem__, "nothing") == Fired(0, {"nothing": 1})


def test_the_stage_writes_what_each_rewrite_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.lowering.tokens.TILE_ROWS", vit.TOKENS)
    source = vit.write(tmp_path, layers=LAYERS)
    lower_stage.main(
        Namespace(
            model="digits",
            precision="int8",
            onnx=source,
            without=["split-heads"],
            added=[],
            input="float32",
            weights=None,
            out=tmp_path,
        )
    )
    record = json.loads((tmp_path / artefacts.rewrites("digits", "int8")).read_text())
    assert (record["precision"], record["left_out"]) == ("int8", ["split-heads"])
    names = [rewrite.name for rewrite in rewrites.choose("int8", ["split-heads"])]
    assert [rewrite["name"] for rewrite in record["rewrites"]] == names
    before = [rewrite["nodes_before"] for rewrite in record["rewrites"]]
    after = [rewrite["nodes_after"] for rewrite in record["rewrites"]]
    assert before == [len(onnx.load(source).graph.node), *after[:-1]]
    network = tmp_path / artefacts.lowered_onnx("digits", "int8")
    assert after[-1] == len(onnx.load(network, load_external_data=False).graph.node)
    output = capsys.readouterr().out
    assert f"fold-layer-scale x{2 * LAYERS}" in output
    assert output.count("warning:") == 1
    assert "warning: pad-tokens never fired: 21 tokens fill tiles of 21 rows already" in output


@pytest.mark.parametrize("rewrite", EVERY_REWRITE, ids=lambda rewrite: rewrite.name)
def test_each_documents_its_transformation(rewrite: rewrites.Rewrite) -> None:
    assert " -> " in rewrite.transformation
    text = " ".join((rewrite.apply.__doc__ or "").split())
    assert "Exact" in text
    assert "[" in text.partition(" -> ")[2], "the shapes"


@pytest.mark.parametrize("rewrite", EVERY_REWRITE, ids=lambda rewrite: rewrite.name)
def test_the_page_says_what_the_docstrings_say(rewrite: rewrites.Rewrite) -> None:
    page = (ROOT / "docs/lowering.md").read_text()
    assert f"| `{rewrite.name}` | {rewrite.summary} | `{rewrite.transformation}` |\n" in page
