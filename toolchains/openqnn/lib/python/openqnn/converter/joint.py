"""One record out of the graphs of a model's pieces.

What one graph writes and the next one reads becomes a tensor inside; a constant that several have
is one. Names that the provider gave twice get a number.
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
    """Return the calls of all graphs as those of one; the raws of doubled constants go.

    Raises:
        Refused: there is no graph, one does not end, or they do not fit together.
    """
    begun, ended = (sum(one["call"] == kind for one in lines) for kind in ("graph", "finalize"))
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
        """Tell whether two calls mean one tensor: a constant, or what connects two graphs."""
        alike = all(earlier[key] == line[key] for key in ALIKE)
        if line["type"] == qnn.APP_WRITE:
            if not alike or earlier["type"] != qnn.APP_READ:
                raise Refused(f"Two pieces of the model disagree about {line['name']}.")
            earlier["type"] = qnn.NATIVE
            return True
        if not alike or not self._is_constant(earlier) or not self._is_constant(line):
            return False
        first, second = (self._folder / f"{one['id']}.raw" for one in (earlier, line))
        same = filecmp.cmp(first, second, shallow=False)
        if same:
            second.unlink()
        return same

    def _is_constant(self, line: Line) -> bool:
        """Tell constants from parameters, which every node makes for itself."""
        return bool(line["type"] == qnn.STATIC) and line["id"] not in self._params

    def _node(self, line: Line) -> Line:
        line["name"] = _unused(line["name"], self._nodes)
        self._nodes.add(line["name"])
        for key in ("inputs", "outputs"):
            line[key] = [self._ids[one] for one in line[key]]
        for param in line["params"]:
            if "tensor" in param:
                param["tensor"] = self._ids[param["tensor"]]
        return line


def _unused(name: str, taken: Any) -> str:
    """Return a name, with a number where it is taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    return found
