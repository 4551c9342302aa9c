"""Tiny random DINOv3 checkpoints in Hugging Face's format, made with NumPy alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts import catalog

CONFIG: dict[str, Any] = {
    "architectures": ["DINOv3ViTModel"],
    "model_type": "dinov3_vit",
    "image_size": 32,
    "patch_size": 8,
    "num_channels": 3,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_register_tokens": 4,
    "use_gated_mlp": True,
    "hidden_act": "silu",
}
_QV_BIAS = re.compile(r"[qv]_proj\.bias$")
Tensors = dict[str, NDArray[np.float32]]


def shapes(config: Mapping[str, Any] = CONFIG) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor, named as on the hub."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, hidden),
        "embeddings.mask_token": (1, 1, hidden),
        "embeddings.register_tokens": (1, config["num_register_tokens"], hidden),
        "embeddings.patch_embeddings.weight": (
            hidden,
            3,
            config["patch_size"],
            config["patch_size"],
        ),
        "embeddings.patch_embeddings.bias": (hidden,),
        "norm.weight": (hidden,),
        "norm.bias": (hidden,),
    }
    gate = ("gate_proj",) if config["use_gated_mlp"] else ()
    for layer in range(config["num_hidden_layers"]):
        own: dict[str, tuple[int, ...]] = {}
        for name in ("norm1", "norm2"):
            own |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            own[f"attention.{name}.weight"] = (hidden, hidden)
            own |= {} if name == "k_proj" else {f"attention.{name}.bias": (hidden,)}
        for name in (*gate, "up_proj"):
            own |= {f"mlp.{name}.weight": (inner, hidden), f"mlp.{name}.bias": (inner,)}
        own |= {"mlp.down_proj.weight": (hidden, inner), "mlp.down_proj.bias": (hidden,)}
        own |= {"layer_scale1.lambda1": (hidden,), "layer_scale2.lambda1": (hidden,)}
        shapes |= {f"layer.{layer}.{name}": shape for name, shape in own.items()}
    return shapes


def tensors(config: Mapping[str, Any] = CONFIG, seed: int = 0) -> Tensors:
    """Return random tensors, none of them trivial: biases, norms and LayerScale as well."""
    random = np.random.default_rng(seed)
    return {
        name: (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in shapes(config).items()
    }


def write(
    folder: Path,
    values: Tensors | None = None,
    *,
    config: Mapping[str, Any] = CONFIG,
    shards: int = 1,
    dtype: str = "F32",
) -> Path:
    """Write a checkpoint directory, in one file or in shards, and return it."""
    values = tensors(config) if values is None else values
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        write_safetensors(folder / "model.safetensors", values, dtype)
        return folder
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = dict(list(values.items())[shard::shards])
        write_safetensors(folder / file, part, dtype)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_safetensors(file: Path, values: Tensors, dtype: str = "F32") -> None:
    """Write a safetensors file of tensors stored as F32, F16, BF16 or F64."""
    header, body = {}, b""
    for name, value in values.items():
        stored = _stored(value, dtype)
        offsets = [len(body), len(body) + len(stored)]
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": offsets}
        body += stored
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + body)


def of_model(file: Path, name: str) -> Path:
    """Write a member of the family as a sparse file: zeros, except one number of each tensor."""
    model = catalog.models()[name]
    config = {
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "num_hidden_layers": model.layers,
        "num_register_tokens": 4,
        "patch_size": model.patch_size,
        "use_gated_mlp": model.gated_mlp,
    }
    own = shapes(config)
    if not model.qkv_bias:
        own = {key: shape for key, shape in own.items() if not _QV_BIAS.search(key)}
    header, starts, end = {}, [], 0
    for tensor, shape in own.items():
        start, end = end, end + 4 * prod(shape)
        starts.append(start)
        header[tensor] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(file, 8 + len(text) + end)
    with file.open("r+b") as stream:
        for start in starts:
            stream.seek(8 + len(text) + start)
            stream.write(np.float32(1).tobytes())
    return file


def _stored(value: NDArray[np.float32], dtype: str) -> bytes:
    if dtype == "BF16":
        return (value.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return value.astype({"F32": np.float32, "F16": np.float16, "F64": np.float64}[dtype]).tobytes()
