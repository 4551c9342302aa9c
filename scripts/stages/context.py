"""Compile a model library into the HTP context binary of a target; save estimate and timeline."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts import artefacts, catalog, program
from scripts.htp import contexts


def main(arguments: argparse.Namespace) -> None:
    """Run the SDK's `qnn-context-binary-generator` and check the context."""
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    context = (arguments.out / artefacts.context_binary(precision.name)).absolute()
    contexts.compile_context(arguments.library, precision, target, context, trace=True)


def _parser() -> argparse.ArgumentParser:
    parser = program.parser(__doc__)
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument(
        "--library", type=Path, required=True, help="model library for x86_64-linux-clang"
    )
    parser.add_argument("--target", required=True, help="board, by its name in the catalog")
    return parser


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
