"""The tensors that weights of a family member must have: names and shapes, without torch.

`dinov3.shapes` has the same from transformers itself, inside the image; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.catalog import Model

# The same in the whole family: facebookresearch/dinov3, dinov3/hub/backbones.py.
REGISTERS = 4
Shapes = dict[str, tuple[int, ...]]


def of_model(model: Model, config: Mapping[str, Any]) -> Shapes:
    """Return the shape of every tensor; `config` is transformers', empty where there is none.

    A linear layer's weight is [outputs, inputs], the patch embedding [hidden, channels, height,
    width]. Which layers have a bias is what `DINOv3ViTConfig` says of a key that is missing.
    """
    hidden, patch = model.hidden_size, model.patch_size
    registers = config.get("num_register_tokens", 0) if config else REGISTERS
    result: Shapes = {
        "embeddings.cls_token": (1, 1, hidden),
        "embeddings.mask_token": (1, 1, hidden),
        "embeddings.register_tokens": (1, registers, hidden),
        "embeddings.patch_embeddings.weight": (hidden, config.get("num_channels", 3), patch, patch),
        "embeddings.patch_embeddings.bias": (hidden,),
        **_norm("norm", hidden),
    }
    layer = _layer(model, config or {"query_bias": model.qkv_bias, "value_bias": model.qkv_bias})
    for number in range(model.layers):
        result |= {f"layer.{number}.{name}": shape for name, shape in layer.items()}
    return result


def _layer(model: Model, config: Mapping[str, Any]) -> Shapes:
    hidden, inner, mlp_bias = model.hidden_size, model.intermediate_size, _has(config, "mlp_bias")
    result = _norm("norm1", hidden) | _norm("norm2", hidden)
    result |= {f"layer_scale{number}.lambda1": (hidden,) for number in (1, 2)}
    for name, option in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "proj")):
        bias = _has(config, f"{option}_bias")
        result |= _linear(f"attention.{name}_proj", hidden, hidden, bias)
    for name in ("gate_proj", "up_proj") if model.gated_mlp else ("up_proj",):
        result |= _linear(f"mlp.{name}", inner, hidden, mlp_bias)
    return result | _linear("mlp.down_proj", hidden, inner, mlp_bias)


def _has(config: Mapping[str, Any], option: str) -> bool:
    return bool(config.get(option, option != "key_bias"))


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, outputs: int, inputs: int, bias: bool) -> Shapes:
    weight: Shapes = {f"{name}.weight": (outputs, inputs)}
    return weight | ({f"{name}.bias": (outputs,)} if bias else {})
