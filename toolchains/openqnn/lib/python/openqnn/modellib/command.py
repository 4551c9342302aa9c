"""Make model libraries, lib<name>.so, out of a model's .cpp and .bin."""

from __future__ import annotations

import argparse
from pathlib import Path

from openqnn import refusal
from openqnn.modellib import build, targets, weights
from openqnn.refusal import Refused

PROGRAM = "qnn-model-lib-generator"


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    options = parser().parse_args(arguments)
    return refusal.run(PROGRAM, lambda: generate(options))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the documented options."""
    made = argparse.ArgumentParser(prog=PROGRAM, description=__doc__, allow_abbrev=False)
    made.add_argument("-c", dest="cpp", type=Path, required=True, help="the model's .cpp")
    made.add_argument("-b", dest="bin", type=Path, help="the model's .bin, a tar of its weights")
    made.add_argument("-t", dest="targets", default=targets.DEFAULT, help="quoted, space separated")
    made.add_argument("-l", dest="name", help="name of the library; default: that of the .bin")
    made.add_argument("-o", dest="out", type=Path, default=Path(), help="output folder")
    return made


def generate(options: argparse.Namespace) -> None:
    """Check the inputs, then build `<out>/<target>/lib<name>.so` for every target."""
    chosen = targets.parse(options.targets)
    for target in chosen:
        targets.find(target)
    for path in (options.cpp, options.bin):
        if path is not None and not path.is_file():
            raise Refused(f"{path} does not exist.")
    found = weights.checked(options.bin, options.cpp)
    name = options.name or (options.bin.stem if options.bin else "qnn_model")
    _describe(options, name)
    for target in chosen:
        made = options.out / target.name / f"lib{name}.so"
        build.library(build.Sources(options.cpp, options.bin, found), target, made)
        refusal.say(PROGRAM, f"Model library: {made} ({made.stat().st_size} bytes)")


def _describe(options: argparse.Namespace, name: str) -> None:
    refusal.say(PROGRAM, f"Model cpp file path  : {options.cpp}")
    refusal.say(PROGRAM, f"Model bin file path  : {options.bin}")
    refusal.say(PROGRAM, f"Library target       : {options.targets}")
    refusal.say(PROGRAM, f"Library name         : {name}")
    refusal.say(PROGRAM, f"Output directory     : {options.out}")
