"""Export a DINOv3 checkpoint to ONNX: one `.onnx`, one file of weights, any size.

Input `pixel_values` float32 [1, 3, size, size] (RGB, normalised); output `last_hidden_state`
float32 [1, 1 + registers + patches, hidden]: the CLS token, the registers, the patches. A weight
has its Hugging Face name; those of linear layers are transposed, as MatMul takes them.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import DINOv3ViTConfig

from scripts import artefacts, catalog
from scripts.errors import ArtefactError
from scripts.stages import dinov3, onnxfile, parity, program
from scripts.stages.checkpoint import Checkpoint, Weights
from scripts.stages.progress import heartbeat, say
from scripts.stages.synthetic import Synthetic
from scripts.stages.trace import trace

RANDOM = re.compile(r"random(?::(\d+))?")
PICTURES = 2
REPORTED = (
    "image_size",
    "patch_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_register_tokens",
    "use_gated_mlp",
    "hidden_act",
)


@dataclass(frozen=True)
class Source:
    """What is exported; `synthetic` is `random:SEED`, or empty for a real checkpoint."""

    config: DINOv3ViTConfig
    shapes: dict[str, tuple[int, ...]]
    weights: Weights
    synthetic: str = ""


def open_source(model: catalog.Model, weights: str) -> Source:
    """Return the source that `weights`, a directory or `random[:SEED]`, stands for.

    Raises:
        CheckpointError: the directory is not a whole DINOv3 checkpoint of this family member.
    """
    if random := RANDOM.fullmatch(weights):
        seed, config = int(random[1] or 0), dinov3.config_of_catalog(model)
        shapes = dinov3.shapes(config)
        return Source(config, shapes, Synthetic(seed, shapes), f"random:{seed}")
    config = dinov3.config_of_directory(Path(weights), model)
    shapes = dinov3.shapes(config)
    return Source(config, shapes, Checkpoint(Path(weights), shapes))


def write(source: Source, model: str, onnx_file: Path) -> dict[str, str]:
    """Write the network and its data file; return what it is, as its metadata say."""
    with heartbeat("tracing"):
        graph = trace(source.config)
    placed = onnxfile.layout(graph)
    data_file = onnx_file.with_suffix(".onnx_data")
    digest = onnxfile.write_weights(data_file, placed, source.weights)
    origin = {"model": model, "weights_sha256": digest, "synthetic": source.synthetic}
    proto = onnxfile.build(graph, placed, data_file.name, origin)
    onnx_file.write_bytes(proto.SerializeToString(deterministic=True))
    return origin


def check(source: Source, onnx_file: Path, set_dir: Path) -> dict[str, float | int]:
    """Compare the written network with torch on the first pictures of a set.

    Raises:
        ConversionError: they differ.
        ArtefactError: the set is damaged, or of another picture size.
    """
    pictures = read_pictures(set_dir, source.config.image_size)
    with heartbeat("comparing with torch"):
        found = parity.compare(onnx_file, source.config, source.weights, pictures)
    say(f"  against torch: cosine {found.cosine:.7f}, largest error {found.max_abs:.1e}")
    found.require()
    return found.rounded()


def read_pictures(set_dir: Path, size: int) -> list[NDArray[np.float32]]:
    """Return the first tensors of a finished set, [1, 3, size, size] each.

    Raises:
        ArtefactError: the set is damaged, or of another picture size.
    """
    shape = (1, 3, size, size)
    try:
        images = json.loads((set_dir / "manifest.json").read_text())["images"][:PICTURES]
        raws = [set_dir / image["raw"] for image in images]
        return [np.fromfile(raw, np.float32).reshape(shape) for raw in raws]
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(
            f"{set_dir} has no pictures of {size} x {size}: {error}.",
            remedy="run `invoke calibrate` again",
        ) from error


def main(arguments: argparse.Namespace) -> None:
    """Write the network, its weights and a report; compare with torch if asked to."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    source = open_source(model, arguments.weights)
    onnx_file = arguments.out / artefacts.eager_onnx(model.name)
    onnx_file.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, object] = {**write(source, model.name, onnx_file)}
    report["parameters"] = sum(map(prod, source.shapes.values()))
    report["config"] = {key: getattr(source.config, key) for key in REPORTED}
    report |= {"torch": torch.__version__, "transformers": transformers.__version__}
    if arguments.check:
        report["parity"] = check(source, onnx_file, arguments.check)
    onnx_file.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog, e.g. vith16plus")
    parser.add_argument("--weights", required=True, help="a checkpoint, or random[:SEED]")
    parser.add_argument("--check", type=Path, help="picture set to compare with torch on")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
