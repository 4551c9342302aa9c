"""What a context binary takes and gives: its graph's name, and its tensors as QNN has them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.errors import ArtefactError


@dataclass(frozen=True)
class Tensor:
    """An input or output: `data_type` in QNN's words, e.g. `QNN_DATATYPE_FLOAT_32`."""

    name: str
    data_type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Interface:
    """The one graph of a context binary."""

    graph: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    def read(cls, root: Path, context: Path) -> Interface:
        """Return the interface of a context, by `qnn-context-binary-utility` of an SDK root.

        Raises:
            ArtefactError: the context is damaged, or does not hold exactly one graph.
        """
        from scripts.htp import sdk, tools  # of a container; who reads a package does without

        with tempfile.TemporaryDirectory() as folder:
            description = Path(folder) / "context.json"
            tools.run(
                sdk.Sdk(root, sdk.read_version(root), root.name),
                "qnn-context-binary-utility",
                *("--context_binary", context, "--json_file", description),
                cwd=Path(folder),
                error=ArtefactError,
                cause="a context binary that was changed after it was built, or of another SDK",
            )
            return cls.parse(description.read_text(), context.name)

    @classmethod
    def parse(cls, text: str, name: str) -> Interface:
        """Return the interface in the JSON that the utility writes of the context `name`.

        Raises:
            ArtefactError: it is of another form, or of several graphs.
        """
        try:
            (graph,) = (row["info"] for row in json.loads(text)["info"]["graphs"])
            inputs, outputs = _tensors(graph["graphInputs"]), _tensors(graph["graphOutputs"])
            return cls(graph["graphName"], inputs, outputs)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtefactError(
                f"What the SDK says of {name} is not one graph with inputs and outputs: {error!r}.",
                cause="a context of several graphs, or an SDK that describes contexts otherwise",
                remedy="build it again: `invoke context`",
            ) from error


def _tensors(rows: list[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    infos = [row["info"] for row in rows]
    return tuple(
        Tensor(info["name"], info["dataType"], tuple(info["dimensions"])) for info in infos
    )
