from argparse import Namespace
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from openqnn.network.onnx_network import Network
from scripts import artefacts, catalog
from scripts.errors import UsageError
from scripts.lowering import rewrites, rotary
from scripts.lowering.lower import lower
from scripts.picture_size import PictureSize
from scripts.pictures.picture_input import PictureInput
from scripts.pictures.preprocess import Preprocessing
from scripts.stages import lower as lower_stage
from tests.networks import vit
from tests.unit.lowering.comparison import assert_same, run

NAMES = [rewrite.name for rewrite in rewrites.REWRITES]


def _lowered(source: Path, precision: str, *without: str) -> Path:
    target = source.with_name(f"{precision}{len(without)}.onnx")
    lower(source, target, precision, list(without))
    return target


def _operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_every_precision_has_its_rewrites() -> None:
    """One that is not listed would be lowered by none, without a word."""
    precisions = catalog.precisions().values()
    assert set(rewrites.EVERY) == {
        precision.lowered_as or precision.name for precision in precisions
    }


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("precision", rewrites.EVERY)
def test_the_function_stays(tmp_path: Path, precision: str, gated: bool) -> None:
    source = vit.write(tmp_path, gated=gated)
    assert_same(run(_lowered(source, precision)), run(source))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["fp16", "w8a16"])
def test_each_rewrite_can_be_left_out(tmp_path: Path, name: str, precision: str) -> None:
    source = vit.write(tmp_path)
    assert_same(run(_lowered(source, precision, name)), run(source))


@pytest.mark.parametrize("gated", [True, False])
def test_heads_that_are_rotated_at_once_have_the_same_bits(tmp_path: Path, gated: bool) -> None:
    source = vit.write(tmp_path, gated=gated)
    joined, apart = _lowered(source, "fp16"), _lowered(source, "fp16", "joined-rotary")
    assert _operators(joined)["Mul"] < _operators(apart)["Mul"]
    assert np.array_equal(run(joined), run(apart))


def test_heads_of_few_tokens_are_rotated_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotary, "LONGEST_ROW", 13)
    applied = lower(vit.write(tmp_path), tmp_path / "out.onnx", "fp16", [])
    (joined,) = (rewrite for rewrite in applied if rewrite.name == "joined-rotary")
    assert joined.reasons == {"32 tokens are short rows already": 4}


@pytest.mark.parametrize("name", NAMES)
def test_each_rewrite_changes_the_network_and_not_the_function(tmp_path: Path, name: str) -> None:
    rewrite = next(rewrite for rewrite in rewrites.REWRITES if rewrite.name == name)
    precision = rewrite.precisions[0]
    needed = {name, *rewrite.needs}
    source = vit.write(tmp_path)
    others = [other for other in NAMES if other not in needed]
    alone = _lowered(source, precision, *others)
    without = _lowered(source, precision, *others, name)
    assert_same(run(alone), run(source))
    assert onnx.load(alone) != onnx.load(without)


@pytest.mark.parametrize("precision", rewrites.EVERY)
def test_bytes_are_normalised_inside(tmp_path: Path, precision: str) -> None:
    how = Preprocessing(PictureSize.square(vit.SIZE), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    source = vit.write(tmp_path)
    target = tmp_path / "bytes.onnx"
    lower(source, target, precision, [], how)
    picture = np.random.default_rng(5).integers(0, 256, (1, vit.SIZE, vit.SIZE, 3), np.uint8)
    pixels = ((picture / 255 - how.mean) / how.std).transpose(0, 3, 1, 2).astype(np.float32)
    assert_same(run(target, picture), run(source, pixels))
    swapped = run(target, np.ascontiguousarray(picture[..., ::-1]))
    assert np.abs(swapped - run(target, picture)).max() > 0.01


@pytest.mark.parametrize("taken", catalog.INPUTS)
def test_the_command_line_chooses_the_input(tmp_path: Path, taken: str) -> None:
    lower_stage.main(
        Namespace(
            model="digits",
            precision="int8",
            onnx=vit.write(tmp_path),
            without=[],
            added=[],
            input=taken,
            weights=None,
            out=tmp_path,
        )
    )
    picture_input = PictureInput.load(tmp_path / artefacts.lowered_onnx("digits", "int8"))
    assert str(picture_input.dtype) == taken


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such"):
        lower(vit.write(tmp_path), tmp_path / "out.onnx", "int8", ["no-such"])


def test_what_builds_on_a_rewrite_goes_with_it() -> None:
    names = {rewrite.name for rewrite in rewrites.choose("int8", ["whole-rotary"])}
    assert not names & {"whole-rotary", "summed-rotary", "pad-tokens"}
    assert "split-heads" in names


def test_bytes_are_the_same_every_time(tmp_path: Path) -> None:
    source = vit.write(tmp_path)
    written = []
    for name in ("a", "b"):
        target = tmp_path / name / "lowered.onnx"
        lower(source, target, "fp16", [])
        written.append([target.read_bytes(), target.with_suffix(".onnx_data").read_bytes()])
    assert written[0] == written[1]


def test_attention_has_no_shuffles(tmp_path: Path) -> None:
    lowered = _operators(_lowered(vit.write(tmp_path, layers=1), "int8"))
    assert lowered["Split"] == 3
    assert lowered["Transpose"] == 1 + vit.HEADS
    assert lowered["Reshape"] == 2
    assert lowered["Softmax"] == vit.HEADS
    assert not lowered["Neg"]


def test_only_large_weights_are_cut_into_columns(tmp_path: Path) -> None:
    path = _lowered(vit.write(tmp_path, layers=1), "fp16", "sum-inputs", "group-heads")
    network = Network.load(path)
    weights = [node.input[1] for node in network.graph.node if node.op_type == "Gemm"]
    shapes = Counter(tuple(network.constants[name].dims) for name in weights)
    narrow = {(vit.WIDTH, vit.HIDDEN // 4): 2 * 4, (vit.HIDDEN, vit.WIDTH // 4): 4}
    assert shapes == {(vit.WIDTH, vit.WIDTH): 3} | narrow, "keys have no bias, so no Gemm"


@pytest.mark.parametrize("precision", ["fp16", "w8a16"])
def test_heads_are_multiplied_in_groups(tmp_path: Path, precision: str) -> None:
    network = Network.load(_lowered(vit.write(tmp_path, layers=1), precision))
    grouped = [node for node in network.graph.node if ".group" in node.output[0]]
    assert [len(node.input) for node in grouped] == [1] * vit.HEADS
    products = [node for node in network.graph.node if ".group" in node.input[0]]
    shapes = [tuple(network.constants[node.input[1]].dims) for node in products]
    assert shapes == [(vit.HEAD, vit.WIDTH)] * vit.HEADS
    assert [len(node.input) for node in products] == [3] + [2] * (vit.HEADS - 1)


def test_layers_that_widen_sum_over_their_inputs(tmp_path: Path) -> None:
    plain = ("narrow-linears", "split-tokens")
    network = Network.load(_lowered(vit.write(tmp_path, layers=1), "fp16", *plain))
    cuts = [node for node in network.graph.node if node.output[0].endswith(".inputs0")]
    assert len(cuts) == 1, "gate and up read the same pieces"
    shapes = [
        tuple(network.constants[node.input[1]].dims)
        for piece in cuts[0].output
        for node in network.graph.node
        if piece in node.input
    ]
    wide, rest = (vit.WIDTH - 4, vit.HIDDEN), (4, vit.HIDDEN)
    assert shapes == [wide, wide, rest, rest]


def test_tokens_are_split_once_for_all_products(tmp_path: Path) -> None:
    path = _lowered(vit.write(tmp_path, layers=1), "fp16", "narrow-linears")
    nodes = onnx.load(path).graph.node
    cuts = [node for node in nodes if node.output[0].endswith(".tokens0") and len(node.output) > 1]
    assert len(cuts) == 1
    for piece in cuts[0].output:
        assert [node.op_type for node in nodes if piece in node.input] == ["Gemm", "Gemm"]


def test_repeated_tokens_do_what_the_last_register_does(tmp_path: Path) -> None:
    path = _lowered(vit.write(tmp_path), "int8")
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info("last_hidden_state.rows"))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    pixels = np.ones((1, 3, vit.SIZE, vit.SIZE), np.float32)
    rows = session.run(["last_hidden_state.rows"], {"pixel_values": pixels})[0]
    assert rows.shape == (32, vit.WIDTH)
    register = np.repeat(rows[vit.REGISTERS : vit.REGISTERS + 1], 32 - vit.TOKENS, axis=0)
    np.testing.assert_allclose(rows[vit.TOKENS :], register, atol=1e-5)


def test_every_tensor_has_a_shape(tmp_path: Path) -> None:
    network = Network.load(_lowered(vit.write(tmp_path), "w8a16"))
    shaped = {value.name for value in network.graph.value_info} | {network.graph.output[0].name}
    assert shaped == set(network.float_tensors()) - {network.graph.input[0].name}
