"""One graph from the recorded graphs of a model's pieces.

A model is cut into pieces p_1 ... p_n that one tensor connects: p_i writes t_i (APP_READ), and
p_i+1 reads a tensor of the same name (APP_WRITE). The provider composes a graph for each piece and
numbers its tensors; the record of p_1 p_2 ... p_n is a list of calls, `tensor` before the `node`
that uses it. The joint graph is the same list, with a map `ids` from each recorded number to the
number that stands for it:

1. t_i read by p_i+1 is t_i written by p_i: ids[read] = written, and its type becomes NATIVE. Both
   must agree in data type, shape, quantisation and format. So the function is p_n(... p_1(x)).
2. Two constants of one name, form and bytes are one: ids[second] = first, the second file goes.
3. A tensor that is a node's parameter stays, even if it equals another: QNN has one a node.
4. Any other tensor or node whose name is taken gets a number, `name.2`: names decide nothing else.

Each node then reads ids[input] and writes ids[output], in the recorded order. That order stays
topological: a piece uses only its own tensors and t_i, which earlier calls write.
"""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openqnn import qnn
from openqnn.refusal import Refused

Line = dict[str, Any]
ALIKE = ("dtype", "dims", "quantization", "format")


def joined(lines: list[Line], folder: Path) -> list[Line]:
    """Return the calls of all graphs as calls of one; delete the files of repeated constants.

    Raises:
        Refused: there is no graph, one does not end, or they do not fit together.
    """
    calls = [line["call"] for line in lines]
    begun, ended = (calls.count(kind) for kind in ("graph", "finalize"))
    if not begun or begun != ended or lines[-1]["call"] != "finalize":
        raise Refused(f"The model was not translated as a whole ({ended} of {begun} graphs).")
    params = {
        param["tensor"]
        for line in lines
        if line["call"] == "node"
        for param in line["params"]
        if "tensor" in param
    }
    return list(_Joint(folder, params).lines(lines))


class _Joint:
    def __init__(self, folder: Path, params: set[int]) -> None:
        self._folder, self._params = folder, params
        self._tensors: dict[str, Line] = {}
        self._nodes: set[str] = set()
        self._ids: dict[int, int] = {}

    def lines(self, lines: list[Line]) -> Iterator[Line]:
        for line in lines:
            if line["call"] == "tensor":
                yield from self._tensor(line)
            elif line["call"] == "node":
                yield self._node(line)

    def _tensor(self, line: Line) -> Iterator[Line]:
        earlier = self._tensors.get(line["name"])
        if earlier and self._is_one(earlier, line):
            self._ids[line["id"]] = earlier["id"]
            return
        line["name"] = _unused(line["name"], self._tensors)
        self._tensors[line["name"]] = line
        self._ids[line["id"]] = line["id"]
        yield line

    def _is_one(self, earlier: Line, line: Line) -> bool:
        """Return whether two calls mean one tensor: a constant, or the link between two graphs."""
        alike = all(earlier[key] == line[key] for key in ALIKE)
        if line["type"] == qnn.APP_WRITE:
            if not alike or earlier["type"] != qnn.APP_READ:
                raise Refused(f"Two pieces of the model disagree about {line['name']}.")
            earlier["type"] = qnn.NATIVE
            return True
        if not alike or not self._is_constant(earlier) or not self._is_constant(line):
            return False
        first, second = (self._folder / f"{tensor['id']}.raw" for tensor in (earlier, line))
        same = filecmp.cmp(first, second, shallow=False)
        if same:
            second.unlink()
        return same

    def _is_constant(self, line: Line) -> bool:
        """Return whether a tensor is a constant that nodes may share, not a parameter of a node."""
        return bool(line["type"] == qnn.STATIC) and line["id"] not in self._params

    def _node(self, line: Line) -> Line:
        line["name"] = _unused(line["name"], self._nodes)
        self._nodes.add(line["name"])
        for key in ("inputs", "outputs"):
            line[key] = [self._ids[tensor] for tensor in line[key]]
        for param in line["params"]:
            if "tensor" in param:
                param["tensor"] = self._ids[param["tensor"]]
        return line


def _unused(name: str, taken: Any) -> str:
    """Return a name, with a number where it is taken."""
    number, unused = 1, name
    while unused in taken:
        number += 1
        unused = f"{name}.{number}"
    return unused
