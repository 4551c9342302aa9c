"""Compile a QNN model's source and weights into model libraries for the host and the board."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts import artefacts, program
from scripts.htp import libraries


def main(arguments: argparse.Namespace) -> None:
    """Run the SDK's `qnn-model-lib-generator` and check its libraries."""
    paths = [
        arguments.out / artefacts.model_library(arguments.model, arguments.precision, target)
        for target in libraries.TARGETS
    ]
    libraries.compile_all(arguments.cpp, arguments.bin, paths)


def _parser() -> argparse.ArgumentParser:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--cpp", type=Path, required=True, help="model source, from convert")
    parser.add_argument("--bin", type=Path, required=True, help="its weights, from convert")
    return parser


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
