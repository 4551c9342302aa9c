"""The program qnn-onnx-converter."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path

from openqnn import refusal, root
from openqnn.converter import archive, cpp, names, netjson, options, quantised, session
from openqnn.converter.record import Graph


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    return refusal.run(options.PROGRAM, lambda: convert(options.parse(arguments), arguments))


def convert(chosen: argparse.Namespace, arguments: list[str]) -> None:
    """Write <stem>.cpp, <stem>.bin and <stem>_net.json."""
    out: Path = chosen.output_path
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"tmp_{out.stem}_", dir=out.parent) as folder:
        record = Path(folder) / "record"
        record.mkdir()
        graph = session.record(quantised.prepared(chosen, Path(folder)), record)
        model = _model(chosen, arguments, graph)
        cpp.write(out, model)
        netjson.write(out.with_name(f"{out.stem}_net.json"), model)
    say = f"{len(graph.nodes)} nodes, {len(graph.tensors)} tensors, {len(model.stored)} weights"
    refusal.say(options.PROGRAM, f"{out}: {say}")


def _model(chosen: argparse.Namespace, arguments: list[str], graph: Graph) -> cpp.Model:
    out: Path = chosen.output_path
    contents = archive.write(out.with_suffix(".bin"), graph, chosen.float_bitwidth)
    return cpp.Model(
        name=next(iter(names.identifiers([out.stem]).values())),
        graph=graph,
        stored=contents.weights,
        encodings=contents.encodings,
        version=f"qaisw-v{root.version()}",
        command=shlex.join([options.PROGRAM, *(_without_folders(one) for one in arguments)]),
    )


def _without_folders(argument: str) -> str:
    """Leave folders out, so that the files do not depend on where they are made."""
    option, equals, value = argument.rpartition("=")
    return f"{option}{equals}{Path(value).name if '/' in value else value}"
