"""The `config.json` of a checkpoint: read, and refused where no DINOv3 ViT can be of it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import json_object
from scripts.checkpoint.files import CONFIG
from scripts.errors import CheckpointError

MODEL_TYPE = "dinov3_vit"
# What the numbers of a configuration must be: whole ones from a least one, and any in a range.
SIZES = {
    "hidden_size": 1,
    "intermediate_size": 1,
    "num_attention_heads": 1,
    "num_channels": 1,
    "num_hidden_layers": 1,
    "num_register_tokens": 0,
    "patch_size": 1,
}
# What transformers' `DINOv3ViTConfig` takes for a key that is missing.
DEFAULTS = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_attention_heads": 6,
    "num_channels": 3,
    "num_hidden_layers": 12,
    "num_register_tokens": 0,
    "patch_size": 16,
    "use_gated_mlp": False,
}
SCALES = {
    "layer_norm_eps": (math.ulp(0.0), sys.float_info.max, "a number above 0"),
    # 100 in DINOv3; one below 1 would turn the order of the frequencies round.
    "rope_theta": (1, 1e9, "a number from 1 to 1e9"),
}
# The activations of the family: of MLPs without a gate, and with one.
ACTIVATIONS = ("gelu", "silu")


def read_config(directory: Path) -> dict[str, Any]:
    """Return the `config.json` of `DINOv3ViTModel`, nothing where there is none of transformers'.

    Raises:
        CheckpointError: it is damaged, or of another kind of model.
    """
    file = directory / CONFIG
    config = json_object.read(file)
    # timm's has no model type, and says its architecture.
    if not file.is_file() or ("architecture" in config and "model_type" not in config):
        return {}
    if (kind := config.get("model_type")) != MODEL_TYPE:
        what = f"is of a {kind!r} model, not {MODEL_TYPE!r}" if kind else "has no model_type"
        raise CheckpointError(
            f"{file} {what}.",
            cause="DINOv2, a ConvNeXt or a fine-tuned model in place of a DINOv3 ViT",
            remedy="give --weights a facebook/dinov3-vit* or timm/vit_*_dinov3* directory",
        )
    _require_numbers(file, config)
    _require_activation(file, config)
    return config


def _require_activation(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse an activation that no DINOv3 ViT has; one that is missing is the usual one."""
    name = config.get("hidden_act", ACTIVATIONS[0])
    if name not in ACTIVATIONS:
        raise CheckpointError(
            f"{file}: hidden_act is {json.dumps(name)[:80]}, and DINOv3 ViTs have "
            f"{' or '.join(ACTIVATIONS)}.",
            cause="a slip in a file written by hand, or a network of another kind",
            remedy="fetch config.json again",
        )


def _require_numbers(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse numbers with which no network can be; one that is missing has its usual value."""
    for key in (*SIZES, *SCALES):
        value = config.get(key, 1)
        if key in SCALES:
            low, high, what = SCALES[key]
            fits = type(value) in (int, float) and low <= value <= high
        else:
            what = f"a whole number from {SIZES[key]}"
            fits = type(value) is int and value >= SIZES[key]
        if not fits:
            raise CheckpointError(
                f"{file}: {key} is {json.dumps(value)[:80]}, not {what}.",
                cause="a slip in a file written by hand, or a damaged one",
                remedy="fetch config.json again",
            )
