"""Export a DINOv3 checkpoint to ONNX, and compare it with torch."""

from __future__ import annotations

import argparse
import json
from math import prod
from pathlib import Path

import torch
import transformers

from scripts import artefacts, catalog, program
from scripts.checkpoint.export import check, described, open_source, with_outputs, write
from scripts.outputs import GRAMMAR, TOKENS_ALONE, Outputs
from scripts.package import weights
from scripts.picture_size import PictureSize

REPORTED = (
    "patch_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_register_tokens",
    "use_gated_mlp",
    "hidden_act",
)


def main(arguments: argparse.Namespace) -> None:
    """Write the network, its weights and a report; with `--check`, compare with torch."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    source = open_source(model, arguments.weights, arguments.size)
    source = with_outputs(source, Outputs.parse(arguments.outputs))
    onnx_file = arguments.out / artefacts.eager_onnx(model.name)
    onnx_file.parent.mkdir(parents=True, exist_ok=True)
    known = weights.facts(model, arguments.weights)
    metadata = {"licence": known["licence"], "weights": known["source"]}
    report: dict[str, object] = {**write(source, model.name, onnx_file, metadata)}
    report["parameters"] = sum(map(prod, source.shapes.values()))
    report["picture_size"] = list(source.size.axes)
    report["config"] = {key: getattr(source.config, key) for key in REPORTED}
    report |= {"torch": torch.__version__, "transformers": transformers.__version__}
    if not source.outputs.is_usual:
        report["outputs"] = described(source)
    if arguments.check:
        report["parity"] = check(source, onnx_file, arguments.check)
    onnx_file.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog, e.g. vith16plus")
    parser.add_argument("--weights", required=True, help="checkpoint directory, or random[:SEED]")
    parser.add_argument("--size", type=PictureSize.parse, required=True, help="224 or 480x640")
    parser.add_argument("--outputs", default=TOKENS_ALONE, help=GRAMMAR)
    parser.add_argument("--check", type=Path, help="picture set for the comparison with torch")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
