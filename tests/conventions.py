"""The names of timm and of Meta, written backwards from transformers'."""

from __future__ import annotations

import re

import numpy as np

from tests.checkpoints import Tensors

_WHOLE = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.patch_embeddings\.", "patch_embed.proj."),
    (r"^layer\.", "blocks."),
    (r"attention\.o_proj", "attn.proj"),
)
_TIMM = (
    (r"embeddings\.register_tokens", "reg_token"),
    (r"layer_scale(\d)\.lambda1", r"gamma_\1"),
    (r"mlp\.down_proj", "mlp.fc2"),
)
_META = (
    (r"embeddings\.register_tokens", "storage_tokens"),
    (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
)
_GATED = {
    "timm": ((r"mlp\.gate_proj", "mlp.fc1_g"), (r"mlp\.up_proj", "mlp.fc1_x")),
    "meta": (
        (r"mlp\.gate_proj", "mlp.w1"),
        (r"mlp\.up_proj", "mlp.w2"),
        (r"mlp\.down_proj", "mlp.w3"),
    ),
}
_PLAIN = ((r"mlp\.up_proj", "mlp.fc1"), (r"mlp\.down_proj", "mlp.fc2"))
_QKV = re.compile(r"layer\.(\d+)\.attention\.([qkv])_proj\.(weight|bias)")


def is_qv(name: str) -> bool:
    """Whether a tensor is the bias of queries or values."""
    return bool((match := _QKV.fullmatch(name)) and match[3] == "bias")


def timm(values: Tensors) -> Tensors:
    """Return tensors as timm names them: no biases of queries, keys and values."""
    return _renamed(values, "timm", _TIMM) | _weights(values)


def timm_qkvb(values: Tensors) -> Tensors:
    """Return tensors as timm's `_qkvb` variants have them."""
    biases = {
        f"blocks.{match[1]}.attn.{match[2]}_bias": value
        for name, value in values.items()
        if (match := _QKV.fullmatch(name)) and match[3] == "bias"
    }
    return timm(values) | biases


def meta(values: Tensors) -> Tensors:
    """Return tensors as Meta's original files name them, with what is in those alone."""
    hidden = values["norm.weight"].size
    result = _renamed(values, "meta", _META) | _weights(values)
    for layer in _layers(values):
        parts = [values[f"layer.{layer}.attention.{part}_proj.bias"] for part in ("q", "v")]
        key = np.full(hidden, 7, np.float32)  # masked there
        bias = f"blocks.{layer}.attn.qkv.bias"
        result[bias] = np.concatenate([parts[0], key, parts[1]])
        result[f"{bias}_mask"] = np.ones(3 * hidden, np.float32)
    result["mask_token"] = np.zeros((1, hidden), np.float32)
    result["rope_embed.periods"] = np.ones(8, np.float32)
    result |= {f"local_cls_norm.{part}": np.ones(hidden, np.float32) for part in ("weight", "bias")}
    return result


def _layers(values: Tensors) -> list[str]:
    return sorted({name.split(".")[1] for name in values if name.startswith("layer.")})


def _weights(values: Tensors) -> Tensors:
    return {
        f"blocks.{layer}.attn.qkv.weight": np.concatenate(
            [values[f"layer.{layer}.attention.{part}_proj.weight"] for part in "qkv"]
        )
        for layer in _layers(values)
    }


def _renamed(values: Tensors, whose: str, rules: tuple[tuple[str, str], ...]) -> Tensors:
    is_gated = any("gate_proj" in name for name in values)
    every = (*_WHOLE, *(_GATED[whose] if is_gated else _PLAIN), *rules)
    result = {}
    for name, value in values.items():
        if _QKV.fullmatch(name) or name == "embeddings.mask_token":
            continue
        new = name
        for pattern, replacement in every:
            new = re.sub(pattern, replacement, new)
        result[new] = value
    return result
