"""Whether the recorded graph is the whole model, or what the provider would leave to the CPU."""

from __future__ import annotations

from pathlib import Path

import onnx

from openqnn import qnn
from openqnn.converter import record
from openqnn.converter.record import Graph
from openqnn.refusal import Refused


def check(graph: Graph, model: Path) -> None:
    """Hold the inputs and outputs of a graph against those of the model it was made of.

    Recording ends before the provider's caller can notice that nodes were left over; where some
    are, tensors inside the model become inputs or outputs of the graph.

    Raises:
        Refused: names the nodes that are left over.
    """
    source = onnx.load(model, load_external_data=False).graph
    inputs = _names(graph, qnn.APP_WRITE) - {value.name for value in source.input}
    outputs = _names(graph, qnn.APP_READ) - {value.name for value in source.output}
    if not (inputs or outputs):
        return
    left = [
        f"{node.op_type} {node.name}".strip()
        for node in source.node
        if inputs.intersection(node.output) or outputs.intersection(node.input)
    ]
    raise Refused(f"{model}: {said(record.refusals(graph.folder) or left)}")


def _names(graph: Graph, kind: int) -> set[str]:
    return {tensor.name for tensor in graph.tensors if tensor.type == kind}


def said(nodes: list[str]) -> str:
    """Say, in words, which nodes the backend does not take."""
    shown = ", ".join(nodes[:3]) or "a part of the model"
    more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
    return f"the HTP backend does not take {shown}{more}."
