"""From a checkpoint to ONNX: one `.onnx`, one file of weights, any size.

Input `pixel_values` float32 [1, 3, height, width] (RGB, normalised); output `last_hidden_state`
float32 [1, 1 + registers + patches, hidden]: the CLS token, the registers, the patches; or the
outputs that are asked for (`taps`). A weight has its Hugging Face name; those of linear layers are
transposed, as MatMul takes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from transformers import DINOv3ViTConfig

from openqnn.progress import heartbeat, say
from scripts import catalog, outputs
from scripts.checkpoint import dinov3, heads, onnxfile, parity, taps
from scripts.checkpoint.contents import Checkpoint
from scripts.checkpoint.synthetic import Synthetic
from scripts.checkpoint.taps import Head
from scripts.checkpoint.tensors import Weights
from scripts.checkpoint.trace import trace
from scripts.errors import ArtefactError
from scripts.outputs import USUAL, Outputs
from scripts.picture_size import PictureSize

RANDOM = re.compile(r"random(?::(\d+))?")
PICTURES = 2


@dataclass(frozen=True)
class Source:
    """What is exported; `synthetic` is `random:SEED`, or empty for a real checkpoint.

    `heads` has the tensors of linear heads by the names of their outputs.
    """

    config: DINOv3ViTConfig
    size: PictureSize
    shapes: dict[str, tuple[int, ...]]
    weights: Weights
    synthetic: str = ""
    outputs: Outputs = USUAL
    heads: Mapping[str, Head] = field(default_factory=dict)


def with_outputs(source: Source, selection: Outputs) -> Source:
    """Return the source with the outputs that its network is to have.

    Raises:
        CheckpointError: a head is none, or of another width.
        UsageError: there is no such layer.
    """
    depth, hidden = source.config.num_hidden_layers, source.config.hidden_size
    selection.require_layers(depth)
    opened = {name: heads.read(file, hidden) for name, file in selection.heads.items()}
    return replace(source, outputs=selection, heads=opened)


def open_source(model: catalog.Model, weights: str, size: PictureSize) -> Source:
    """Return the source of `weights`: a directory, a file, or `random[:SEED]`.

    Raises:
        CheckpointError: the directory is not a complete DINOv3 checkpoint of this family member,
            is damaged, or holds values that are no numbers.
    """
    if random := RANDOM.fullmatch(weights):
        seed, config = int(random[1] or 0), dinov3.config_of_catalog(model)
        shapes = dinov3.shapes(config)
        return Source(config, size, shapes, Synthetic(seed, shapes), f"random:{seed}")
    config = dinov3.config_of_directory(Path(weights), model)
    shapes = dinov3.shapes(config)
    checkpoint = Checkpoint(Path(weights), shapes)
    say(f"  {checkpoint.contents.summary(model)}")
    if checkpoint.contents.remainder:
        say(f"  {checkpoint.contents.remainder}")
    with heartbeat("reading all weights once"):  # before the trace, which may take longer
        checkpoint.require_sound()
    return Source(config, size, shapes, checkpoint)


def write(
    source: Source, model: str, onnx_file: Path, known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Write the network and its data file; return what it is of.

    The network's metadata says so, too, with what is `known` of the weights.
    """
    with heartbeat("tracing"):
        graph = trace(source.config, source.size)
    patches = source.size.patches(source.config.patch_size)
    graph = taps.attach(graph, source.outputs, patches, source.heads)
    placed = onnxfile.layout(graph)
    data_file = onnx_file.with_suffix(".onnx_data")
    digest = onnxfile.write_weights(data_file, placed, source.weights)
    origin = {"model": model, "tensors_sha256": digest, "synthetic": source.synthetic}
    metadata = {**origin, **known, "precision": "float32"}
    proto = onnxfile.build(graph, placed, data_file.name, metadata)
    onnx_file.write_bytes(proto.SerializeToString(deterministic=True))
    return origin


def described(source: Source) -> dict[str, dict[str, object]]:
    """Return what a report says of each output: its shape, its meaning, the digest of its head."""
    rows, columns = source.size.patches(source.config.patch_size)
    hidden, tokens = source.config.hidden_size, 1 + source.config.num_register_tokens
    shapes = {
        outputs.TOKENS: [1, tokens + rows * columns, hidden],
        outputs.CLS: [1, hidden],
        outputs.PATCHES: [1, rows * columns, hidden],
    }
    report: dict[str, dict[str, object]] = {}
    for entry in source.outputs:
        shape = shapes.get(entry.name, [1, hidden, rows, columns])
        report[entry.name] = {"shape": shape, "meaning": entry.meaning}
        if entry.file:
            classes = len(source.heads[entry.name]["weight"])
            shape = [1, classes] if entry.name == outputs.HEAD else [1, classes, rows, columns]
            report[entry.name] |= {"shape": shape, "head_sha256": heads.digest(entry.file)}
    return report


def check(source: Source, onnx_file: Path, set_dir: Path) -> dict[str, float | int]:
    """Compare the written network with torch on the first pictures of a set.

    Raises:
        ConversionError: they differ.
        ArtefactError: the set is damaged, or of another picture size.
    """
    pictures = read_pictures(set_dir, source.size)
    with heartbeat("comparing with torch"):
        network = parity.Torch(source.config, source.weights, source.outputs, source.heads)
        result = parity.compare(onnx_file, network, pictures)
    say(f"  against torch: cosine {result.cosine:.7f}, largest error {result.max_abs:.1e}")
    result.require()
    return result.rounded()


def read_pictures(set_dir: Path, size: PictureSize) -> list[NDArray[np.float32]]:
    """Return the first tensors of a finished set, [1, 3, height, width] each.

    Raises:
        ArtefactError: the set is damaged, or of another picture size.
    """
    shape = (1, 3, *size.axes)
    try:
        images = json.loads((set_dir / "manifest.json").read_text())["images"][:PICTURES]
        raws = [set_dir / image["raw"] for image in images]
        return [np.fromfile(raw, np.float32).reshape(shape) for raw in raws]
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(
            f"{set_dir} has no pictures of {size.height} x {size.width}: {error}.",
            remedy="run `invoke calibrate` again",
        ) from error
