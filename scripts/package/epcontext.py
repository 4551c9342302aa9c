"""The network for ONNX Runtime: an ONNX file of one EPContext node around the context binary.

ONNX Runtime's QNN provider loads the binary that the node names, by a path relative to the ONNX
file, and runs its graph. The attributes are those of `com.microsoft.EPContext` as the provider
writes them itself; the node has the name of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper

from scripts import __version__
from scripts.errors import ArtefactError
from scripts.htp.interface import Interface, Tensor
from scripts.package import rule

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


def load(content: bytes, path: str, context: str, facts: Mapping[str, Any]) -> Interface:
    """Return the interface that an ONNX file, at `path` in a package, gives of `context`.

    Raises:
        ArtefactError: it is anything else than one node around that context, or says of the
            network what the manifest's `facts` do not.
    """
    try:
        model = ModelProto.FromString(content)
        interface = _interface(model.graph)
        is_ours = model.graph == _graph(interface, context)
    except (DecodeError, KeyError):
        is_ours = False
    if not is_ours or model.functions or model.training_info:
        raise rule.refusal(f"{path} is not an ONNX file of one node around {context or 'nothing'}.")
    if {row.key: row.value for row in model.metadata_props} != _metadata(facts):
        raise rule.refusal(f"{path} says of the network what the manifest does not.")
    return interface


def _interface(graph: GraphProto) -> Interface:
    types = {int(number): name for name, number in _TYPES.items()}

    def tensor(value: ValueInfoProto) -> Tensor:
        shape = value.type.tensor_type.shape.dim
        name = types[value.type.tensor_type.elem_type]
        return Tensor(value.name, name, tuple(dim.dim_value for dim in shape))

    return Interface(graph.name, tuple(map(tensor, graph.input)), tuple(map(tensor, graph.output)))


def _model(interface: Interface, context: str, facts: Mapping[str, Any]) -> ModelProto:
    model = helper.make_model(
        _graph(interface, context),
        opset_imports=[helper.make_opsetid(_DOMAIN, 1)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
        producer_version=__version__,
        doc_string=facts["model"]["description"],
    )
    helper.set_model_props(model, _metadata(facts))
    return model


def _graph(interface: Interface, context: str) -> GraphProto:
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
    return helper.make_graph(
        [node], interface.graph, [*map(_value, inputs)], [*map(_value, outputs)]
    )


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
        "weights_files_sha256": weights["sha256"],
    }
