"""DINOv3 networks of `transformers`: configurations, tensors, and a body without weights."""

from __future__ import annotations

from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from scripts.catalog import Model
from scripts.checkpoint.configuration import read_config
from scripts.checkpoint.shapes import REGISTERS
from scripts.checkpoint.tensors import plain_name
from scripts.errors import CheckpointError

DIGITS = Path(__file__).parent.parent / "catalog" / "digits"
IDENTITY = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size", "num_channels")


def config_of_directory(directory: Path, model: Model) -> DINOv3ViTConfig:
    """Return a checkpoint's configuration, the catalog's where it has none of transformers.

    Raises:
        CheckpointError: it is unreadable, of another architecture, or of another family member.
    """
    raw = read_config(directory) if directory.is_dir() else {}
    if not raw:
        return config_of_catalog(model)
    try:
        config = DINOv3ViTConfig.from_dict(raw)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(f"{directory / 'config.json'}: {error}.") from error
    known = config_of_catalog(model)
    for key in IDENTITY:
        if getattr(config, key) != getattr(known, key):
            raise CheckpointError(
                f"{directory} is not {model.name}: its {key} is {getattr(config, key)}, "
                f"not {getattr(known, key)}.",
                remedy="choose --model and --weights that belong together",
            )
    return config


def config_of_catalog(model: Model) -> DINOv3ViTConfig:
    """Return the configuration of a family member, for weights without one."""
    if model.weights == "builtin":
        return DINOv3ViTConfig.from_dict(read_config(DIGITS))
    return DINOv3ViTConfig(
        image_size=model.image_size,
        patch_size=model.patch_size,
        hidden_size=model.hidden_size,
        intermediate_size=model.intermediate_size,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_register_tokens=REGISTERS,
        use_gated_mlp=model.gated_mlp,
        query_bias=model.qkv_bias,
        value_bias=model.qkv_bias,
        hidden_act="silu" if model.gated_mlp else "gelu",
    )


def skeleton(config: DINOv3ViTConfig) -> DINOv3ViTModel:
    """Return the network with parameters that take no memory, in evaluation mode."""
    config._attn_implementation = "eager"
    with torch.device("meta"):
        network = DINOv3ViTModel(config)
    # No checkpoint holds the buffer of rotary frequencies: compute it, in real memory.
    network.rope_embeddings = type(network.rope_embeddings)(config)
    return network.eval()


def shapes(config: DINOv3ViTConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a checkpoint of this configuration."""
    state = skeleton(config).state_dict()
    return {plain_name(name): tuple(value.shape) for name, value in state.items()}
