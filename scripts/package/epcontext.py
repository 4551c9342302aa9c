"""The network for ONNX Runtime: an ONNX file of one EPContext node around the context binary.

ONNX Runtime's QNN provider loads the binary that the node names, by a path relative to the ONNX
file, and runs its graph. The attributes are those of `com.microsoft.EPContext` as the provider
writes them itself; the node has the name of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from scripts.errors import ArtefactError
from scripts.htp.interface import Interface, Tensor

ROLE = "ONNX Runtime model"
PRODUCER = "dinov3-qnn"
PROVIDER = "QNNExecutionProvider"
# The first IR version that a reader of EPContext knows; later ones add nothing that is used here.
IR_VERSION = 8
_DOMAIN = "com.microsoft"
# Fixed-point tensors are bare integers for ONNX Runtime; what they stand for, the manifest says.
_TYPES = {
    "QNN_DATATYPE_FLOAT_32": TensorProto.FLOAT,
    "QNN_DATATYPE_FLOAT_16": TensorProto.FLOAT16,
    "QNN_DATATYPE_UINT_8": TensorProto.UINT8,
    "QNN_DATATYPE_UFIXED_POINT_8": TensorProto.UINT8,
    "QNN_DATATYPE_UFIXED_POINT_16": TensorProto.UINT16,
}


def path(interface: Interface) -> str:
    """Return the file's path in a package."""
    return f"model/{interface.graph}_ctx.onnx"


def dump(interface: Interface, context: str, facts: Mapping[str, Any]) -> bytes:
    """Return the ONNX file of a context binary that lies beside it as `context`.

    `facts` are the manifest's; the same ones give the same bytes.

    Raises:
        ArtefactError: an input or output has a type that ONNX Runtime is not given.
    """
    return bytes(_model(interface, context, facts).SerializeToString(deterministic=True))


def _model(interface: Interface, context: str, facts: Mapping[str, Any]) -> ModelProto:
    inputs, outputs = interface.inputs, interface.outputs
    node = helper.make_node(
        "EPContext",
        [tensor.name for tensor in inputs],
        [tensor.name for tensor in outputs],
        name=interface.graph,
        domain=_DOMAIN,
        main_context=1,
        embed_mode=0,
        ep_cache_context=context,
        source=PROVIDER,
        partition_name=interface.graph,
    )
    graph = helper.make_graph(
        [node], interface.graph, [*map(_value, inputs)], [*map(_value, outputs)]
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(_DOMAIN, 1)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
        doc_string=facts["model"]["description"],
    )
    helper.set_model_props(model, _metadata(facts))
    return model


def _value(tensor: Tensor) -> ValueInfoProto:
    if tensor.data_type not in _TYPES:
        raise ArtefactError(f"{tensor.name} is {tensor.data_type}, which no ONNX file says.")
    return helper.make_tensor_value_info(tensor.name, _TYPES[tensor.data_type], tensor.shape)


def _metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what a viewer shows of the file, in alphabetical order."""
    weights = facts["weights"]
    commit = {"weights_commit": weights["commit"]} if "commit" in weights else {}
    return {
        "licence": weights["licence"],
        "model": facts["model"]["name"],
        "precision": facts["precision"]["name"],
        "qnn_build": facts["sdk"]["build_id"],
        "target": facts["target"]["name"],
        "weights": weights["source"],
        **commit,
        "weights_sha256": weights["sha256"],
    }
