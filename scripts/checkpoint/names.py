"""The names that transformers, timm and Meta give the same tensors, brought to transformers'.

    timm                      Meta                     transformers
    cls_token                 cls_token                embeddings.cls_token
    reg_token                 storage_tokens           embeddings.register_tokens
    patch_embed.proj          patch_embed.proj         embeddings.patch_embeddings
    blocks.N.norm1            blocks.N.norm1           layer.N.norm1
    attn.qkv.weight           attn.qkv.weight          attention.{q,k,v}_proj.weight, thirds of rows
    attn.q_bias, attn.v_bias  attn.qkv.bias, 1st, 3rd  attention.{q,v}_proj.bias; zeros if left out
    attn.proj                 attn.proj                attention.o_proj
    gamma_1                   ls1.gamma                layer_scale1.lambda1
    mlp.fc1, mlp.fc2          mlp.fc1, mlp.fc2         mlp.up_proj, mlp.down_proj
    mlp.fc1_g, fc1_x, fc2     mlp.w1, w2, w3           mlp.gate_proj, up_proj, down_proj

Sources: `convert_dinov3_vit_to_hf.py` in transformers' repository, timm's `models/eva.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scripts.checkpoint.tensors import OPTIONAL, Tensor, plain_name
from scripts.errors import CheckpointError
from scripts.words import counted

_COMMON = {
    "cls_token": "embeddings.cls_token",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.bias",
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
}
_LAYER = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.up_proj",
    "mlp.fc2": "mlp.down_proj",
}
_PARTS = ("weight", "bias")
_THIRDS = ("q_proj", "k_proj", "v_proj")
_LORA = re.compile(r"\.lora_(a|b|embedding|magnitude)", re.IGNORECASE)
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Convention:
    """Whose names they are: `mark` is a tensor that no other has, `own` are parts of a backbone.

    `whole` are names outside layers, `layer` those in a layer, `split` those of a layer that come
    in thirds of rows, `dropped` those that the exported network does not have.
    """

    name: str
    mark: str
    own: tuple[str, ...]
    whole: Mapping[str, str] = field(default_factory=dict)
    layer: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: str = r"(?!)"


HUGGING_FACE = Convention(
    "Hugging Face", "embeddings.register_tokens", ("embeddings.", "layer.", "model.layer.", "norm.")
)
_OURS = ("blocks.", "patch_embed.", "norm.", "cls_token", "pos_embed", "rope")
TIMM = Convention(
    "timm",
    "reg_token",
    (*_OURS, "reg_token"),
    {**_COMMON, "reg_token": "embeddings.register_tokens"},
    {
        **{f"{ours}.{part}": f"{new}.{part}" for ours, new in _LAYER.items() for part in _PARTS},
        **{f"mlp.fc1_g.{part}": f"mlp.gate_proj.{part}" for part in _PARTS},
        **{f"mlp.fc1_x.{part}": f"mlp.up_proj.{part}" for part in _PARTS},
        **{f"attn.{part}_bias": f"attention.{part}_proj.bias" for part in ("q", "v")},
        **{f"gamma_{number}": f"layer_scale{number}.lambda1" for number in (1, 2)},
    },
    {"attn.qkv.weight": tuple(f"attention.{part}.weight" for part in _THIRDS)},
    r"rope\..*|blocks\.\d+\.attn\.k_bias",
)
META = Convention(
    "Meta's original",
    "storage_tokens",
    (*_OURS, "storage_tokens", "mask_token", "local_cls_norm."),
    {**_COMMON, "storage_tokens": "embeddings.register_tokens"},
    {
        **{f"{ours}.{part}": f"{new}.{part}" for ours, new in _LAYER.items() for part in _PARTS},
        **{
            f"mlp.{ours}.{part}": f"mlp.{new}.{part}"
            for ours, new in (("w1", "gate_proj"), ("w2", "up_proj"), ("w3", "down_proj"))
            for part in _PARTS
        },
        **{f"ls{number}.gamma": f"layer_scale{number}.lambda1" for number in (1, 2)},
    },
    {
        "attn.qkv.weight": tuple(f"attention.{part}.weight" for part in _THIRDS),
        # The key's bias cannot change the softmax; Meta masks it.
        "attn.qkv.bias": ("attention.q_proj.bias", "", "attention.v_proj.bias"),
    },
    r"mask_token|local_cls_norm\..*|rope_embed\.periods|blocks\.\d+\.attn\.qkv\.bias_mask",
)
# timm's names of the family; `_qkvb` and more may follow. And how its names of such networks begin.
IN_TIMM = {
    "vits16": "vit_small_patch16_dinov3",
    "vits16plus": "vit_small_plus_patch16_dinov3",
    "vitb16": "vit_base_patch16_dinov3",
    "vitl16": "vit_large_patch16_dinov3",
    "vith16plus": "vit_huge_plus_patch16_dinov3",
    "vit7b16": "vit_7b_patch16_dinov3",
}
TIMMS = ("vit_", "convnext_")
CONVENTIONS = (HUGGING_FACE, TIMM, META)


@dataclass(frozen=True)
class Backbone:
    """The tensors of a DINOv3 ViT under transformers' names, and what else the files hold."""

    tensors: Mapping[str, Tensor]
    convention: Convention
    prefix: str
    left_out: tuple[str, ...]


def backbone(source: object, tensors: Mapping[str, Tensor]) -> Backbone:
    """Return the one backbone that is among tensors; `source` says where they are from.

    Raises:
        CheckpointError: there is none, or there are several.
    """
    marks = [(name, kind) for kind in CONVENTIONS for name in tensors if _ends(name, kind.mark)]
    if len(marks) != 1:
        raise _none(source, tensors) if not marks else _several(source, [name for name, _ in marks])
    mark, convention = marks[0]
    prefix = mark.removesuffix(convention.mark)
    inside = {name.removeprefix(prefix): name for name in tensors if name.startswith(prefix)}
    own = {name for name in inside if name.startswith(convention.own)}
    result: dict[str, Tensor] = {}
    for name in sorted(own):
        result |= _translated(convention, name, tensors[inside[name]])
    left_out = sorted(set(tensors) - {inside[name] for name in own})
    return Backbone(result, convention, prefix, tuple(left_out))


def _ends(name: str, mark: str) -> bool:
    before = name.removesuffix(mark)[-1:]
    return name.endswith(mark) and not (before.isalnum() or before == "_")


def _translated(convention: Convention, name: str, tensor: Tensor) -> dict[str, Tensor]:
    if convention is HUGGING_FACE:
        return {plain_name(name): tensor}
    if re.fullmatch(convention.dropped, name):
        return {}
    if name in convention.whole:
        return {convention.whole[name]: tensor}
    if block := _BLOCK.fullmatch(name):
        layer, part = f"layer.{block[1]}.", block[2]
        if part in convention.layer:
            return {layer + convention.layer[part]: tensor}
        if part in convention.split and tensor.shape and tensor.shape[0] % 3 == 0:
            split = enumerate(convention.split[part])
            return {layer + new: tensor.third(number) for number, new in split if new}
    return {name: tensor}  # not part of any DINOv3: refused by its name


def refuse_lora(source: object, tensors: Iterable[str]) -> None:
    """Refuse weights that are still apart from their adapter.

    Raises:
        CheckpointError: names the first tensor of a LoRA.
    """
    if adapters := sorted(filter(_LORA.search, tensors)):
        raise CheckpointError(
            f"{source} holds {counted(len(adapters), 'tensor')} of a LoRA that is not merged: "
            f"{adapters[0]}.",
            cause="fine-tuning with PEFT whose state was saved as it is",
            remedy="merge it where the network is loaded, with PEFT's "
            "`model.merge_and_unload().save_pretrained('merged')`, and give what that writes",
        )


def _none(source: object, tensors: Mapping[str, Tensor]) -> CheckpointError:
    refuse_lora(source, tensors)
    if not any(tensors):
        return CheckpointError(
            f"{source} holds no tensors by name.",
            cause="a list of tensors, one tensor or nothing in place of a state_dict",
            remedy="save the state_dict() of the network, and give that",
        )
    names = ", ".join(sorted(tensors)[:3]) + (", ..." if len(tensors) > 3 else "")
    return CheckpointError(
        f"{source} holds no DINOv3 ViT: no register "
        f"({', '.join(kind.mark for kind in CONVENTIONS)}) among "
        f"{counted(len(tensors), 'tensor')}: {names}.",
        cause="DINOv2, a ConvNeXt, or a head alone",
        remedy="give weights of a DINOv3 ViT, from transformers, timm or Meta",
    )


def _several(source: object, marks: list[str]) -> CheckpointError:
    return CheckpointError(
        f"{source} holds {len(marks)} backbones: {', '.join(marks[:3])}.",
        cause="teacher and student of a training run in one file, or files of two models",
        remedy="save the tensors alone whose names begin as one of these",
    )


def differences(
    tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Return what is missing, unexpected or of another shape, each in words."""
    problems = [f"{name} is missing" for name in expected if name not in tensors.keys() | OPTIONAL]
    problems += [f"{name} is not part of the model" for name in tensors if name not in expected]
    return problems + [
        f"{name} is {list(tensors[name].shape)}, not {list(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
