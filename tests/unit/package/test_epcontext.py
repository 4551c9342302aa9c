"""The ONNX file of a package: one node around the context, with the context's own types."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from scripts.errors import ArtefactError
from scripts.htp.interface import Interface, Tensor
from scripts.package import epcontext
from scripts.package.contents import items
from scripts.pictures.picture_input import PictureInput
from tests import packages

FACTS: dict[str, Any] = {
    "model": {"name": "digits", "description": "a network"},
    "weights": {"source": "builtin", "sha256": 64 * "a", "licence": "Apache-2.0"},
    "precision": {"name": "int8"},
    "sdk": {"build_id": packages.BUILD_ID},
    "target": {"name": "iq9075"},
}


def interface(takes: PictureInput = packages.PLANES) -> Interface:
    return Interface.parse(packages.description(takes), "a.bin")


def model(takes: PictureInput = packages.PLANES) -> onnx.ModelProto:
    return onnx.load_from_string(epcontext.dump(interface(takes), "a.bin", FACTS))


def test_it_is_one_node_that_names_the_context_beside_it_and_its_graph() -> None:
    (node,) = model().graph.node
    attributes = {row.name: helper.get_attribute_value(row) for row in node.attribute}
    assert (node.op_type, node.domain, node.name) == (
        *("EPContext", "com.microsoft"),
        "dinov3_digits_int8",
    )
    assert attributes == {
        "main_context": 1,
        "embed_mode": 0,
        "ep_cache_context": b"a.bin",
        "source": b"QNNExecutionProvider",
        "partition_name": b"dinov3_digits_int8",
    }


@pytest.mark.parametrize(
    ("takes", "type_"),
    [(packages.PLANES, onnx.TensorProto.FLOAT), (packages.BYTES, onnx.TensorProto.UINT8)],
)
def test_inputs_and_outputs_are_those_of_the_context(takes: PictureInput, type_: int) -> None:
    graph = model(takes).graph
    onnx.checker.check_model(model(takes), full_check=True)
    (value,), (output,) = graph.input, graph.output
    assert (value.name, value.type.tensor_type.elem_type) == ("pixel_values", type_)
    assert tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) == takes.shape
    assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [dim.dim_value for dim in output.type.tensor_type.shape.dim] == [1, 21, 96]


def test_it_says_whose_it_is_and_is_the_same_every_time() -> None:
    says = {row.key: row.value for row in model().metadata_props}
    assert says == {
        "licence": "Apache-2.0",
        "model": "digits",
        "precision": "int8",
        "qnn_build": packages.BUILD_ID,
        "target": "iq9075",
        "weights": "builtin",
        "weights_files_sha256": 64 * "a",
    }
    assert (model().producer_name, model().doc_string) == ("dinov3-qnn", "a network")
    assert model().SerializeToString(deterministic=True) == epcontext.dump(
        interface(), "a.bin", FACTS
    )


def test_a_type_that_onnx_runtime_is_not_given_is_refused() -> None:
    odd = dataclasses.replace(interface(), outputs=(Tensor("y", "QNN_DATATYPE_SFIXED_4", (1,)),))
    with pytest.raises(ArtefactError, match="y is QNN_DATATYPE_SFIXED_4"):
        epcontext.dump(odd, "a.bin", FACTS)


def test_the_package_has_it_beside_the_context_and_says_so(tmp_path: Path) -> None:
    packed = {item.path: item for item in items(packages.build(tmp_path))}
    path = "model/dinov3_digits_int8_ctx.onnx"
    assert packed[path].role == epcontext.ROLE
    content, document = packed[path].source, packed["manifest.json"].source
    assert isinstance(content, bytes)
    assert isinstance(document, bytes)
    (node,) = onnx.load_from_string(content).graph.node
    attributes = {row.name: helper.get_attribute_value(row) for row in node.attribute}
    assert f"model/{attributes['ep_cache_context'].decode()}" in packed
    assert path in {row["path"] for row in json.loads(document)["files"]}
    readme = packed["README.md"].source
    assert isinstance(readme, bytes)
    assert f"`{path}`" in readme.decode()
