"""Files of weights as people have them: found, checked, and read tensor by tensor.

Only headers are parsed up front; a tensor is read when it is needed, and converted to float32, so
memory holds one tensor and never the whole checkpoint. What a file is, is told by its content.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from scripts import json_object
from scripts.errors import CheckpointError
from scripts.json_object import FETCH_AGAIN

MODEL_TYPE = "dinov3_vit"
CONFIG, PROCESSOR, HEAD = "config.json", "preprocessor_config.json", "head.safetensors"
# The files that transformers and timm write, in the order in which they are looked for.
PUBLISHED = ("model.safetensors", "pytorch_model.bin")
PATTERNS = ("*.safetensors", "*.pth", "*.pt", "*.bin", "*.ckpt")
KNOWN = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}
# safetensors' names of the stored types, and how NumPy reads them; it has no bfloat16.
STORED_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_INDEX = ".index.json"
_SHARD = re.compile(rf"-\d+-of-(\d+)(\.\w+)$|{re.escape(_INDEX)}$")
_LFS = b"version https://git-lfs"
LARGEST_HEADER = 100_000_000
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
# Used in training, not in the exported network.
OPTIONAL = {"embeddings.mask_token"}
# Commands for a shell; `{0}` is a path, quoted.
MERGE_LORA = (
    'python -c "import sys; from peft import AutoPeftModel; AutoPeftModel.from_pretrained('
    "sys.argv[1]).merge_and_unload().save_pretrained('merged')\" {0}"
)
MERGE_SHARDS = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch {0} merged.pth"
MERGE_LIGHTNING = "python -m lightning.pytorch.utilities.consolidate_checkpoint {0}"
MERGE_ZERO = "python {0}/zero_to_fp32.py {0} merged --safe_serialization"
# What a folder holds that has a network in parts: a file's name, what it is, and the command.
PARTS = (
    ("adapter_config.json", "a LoRA adapter, not a network", MERGE_LORA),
    ("meta.pt", "a distributed checkpoint of Lightning in parts", MERGE_LIGHTNING),
    (".metadata", "a distributed checkpoint in parts", MERGE_SHARDS),
    ("zero_to_fp32.py", "a DeepSpeed checkpoint in parts", MERGE_ZERO),
)
SHARDS = "*.distcp"


class Weights(Protocol):
    """Tensors by name, as `DINOv3ViTModel` has them without its inner `model.`."""

    @property
    def names(self) -> list[str]:
        """Every tensor, sorted."""

    def read(self, name: str) -> NDArray[np.float32]:
        """Return one tensor."""


class Tensor(Protocol):
    """A tensor in a file, not read yet; `dtype` is one of `STORED_TYPES`, or empty without one."""

    @property
    def file(self) -> Path:
        """The file that it is in."""

    @property
    def dtype(self) -> str:
        """Its stored type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    def read(self) -> NDArray[np.float32]:
        """Return its values."""

    def is_blank(self) -> bool:
        """Whether all that is stored are zeros; no torch is needed to tell."""

    def third(self, number: int) -> Tensor:
        """Return one of its three equal blocks of rows."""


@dataclass(frozen=True)
class Stored:
    """A tensor of a safetensors file: its type and shape, and its first byte in that file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def read(self) -> NDArray[np.float32]:
        """Return its values."""
        kind, count = np.dtype(STORED_TYPES[self.dtype]), prod(self.shape)
        flat = np.fromfile(self.file, dtype=kind, count=count, offset=self.offset)
        return _to_float32(flat, self.dtype).reshape(self.shape)

    def is_blank(self) -> bool:
        """Whether all that is stored are zeros."""
        return not self.read().any()

    def third(self, number: int) -> Stored:
        """Return one of its three equal blocks of rows, which lie one behind the other."""
        shape = (self.shape[0] // 3, *self.shape[1:])
        length = prod(shape) * np.dtype(STORED_TYPES[self.dtype]).itemsize
        return replace(self, shape=shape, offset=self.offset + number * length)


@dataclass(frozen=True)
class Zeros:
    """A bias that a checkpoint leaves out because it is zero."""

    file: Path
    shape: tuple[int, ...]
    dtype: str = ""

    def read(self) -> NDArray[np.float32]:
        """Return its values."""
        return np.zeros(self.shape, np.float32)

    def is_blank(self) -> bool:
        """Whether all of it are zeros: yes."""
        return True

    def third(self, number: int) -> Zeros:
        """Return one of its three equal blocks of rows."""
        return replace(self, shape=(self.shape[0] // 3, *self.shape[1:]))


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


def weight_files(directory: Path) -> list[Path]:
    """Return the files with the weights of a directory, sharded or not.

    Raises:
        CheckpointError: there is none, a shard is missing, or there are several to choose from.
    """
    for name in PUBLISHED:
        if (directory / name).is_file():
            return [directory / name]
        if (index := directory / f"{name}.index.json").is_file():
            return _shards(index)
    _refuse_parts(directory)
    files = sorted({file for pattern in PATTERNS for file in directory.glob(pattern)})
    files = [file for file in files if file.name != HEAD and file.is_file()]
    if listed := list_of(file.name for file in files):
        return _shards(directory / listed)
    if len(files) == 1:
        return files
    if files:
        names = ", ".join(file.name for file in files[:4])
        raise CheckpointError(
            f"{directory} holds {len(files)} files of weights: {names}.",
            remedy="give --weights one of them",
        )
    below = _below(directory)
    raise CheckpointError(
        f"There are no weights in {directory}: no {', '.join(PUBLISHED)}, no other "
        f"{', '.join(PATTERNS)}.",
        cause="a wrong path, a download that was not finished, or links whose files are gone",
        remedy=f"give --weights {quoted(below)}, if those are meant"
        if below
        else "give --weights the file or directory that they are in, or fetch them as well",
    )


def list_of(names: Iterable[str]) -> str:
    """Return the name of the list of some shards; none where they are other files, too."""
    lists = {_SHARD.sub(_listed, name) for name in names}
    name = lists.pop() if len(lists) == 1 else ""
    return name if name.endswith(_INDEX) else ""


def _listed(shard: re.Match[str]) -> str:
    return shard[2] + _INDEX if shard[1] and int(shard[1]) > 1 else shard[0]


def lacks_list(source: object, name: str) -> CheckpointError:
    """Return the error of shards without the list of them."""
    return CheckpointError(
        f"{source} has shards of a checkpoint without their list: {name} is missing.",
        cause="a download of the shards alone, or one that was not finished",
        remedy=f"fetch {name} as well",
    )


def _shards(index: Path) -> list[Path]:
    if not index.is_file():
        raise lacks_list(index.parent, index.name)
    weight_map = json_object.read(index).get("weight_map")
    names = sorted(set(weight_map.values())) if _names_files(weight_map) else []
    if not names:
        raise CheckpointError(
            f"{index} is damaged: it does not say in which file each tensor is.",
            cause="a cut download, or another program's file",
            remedy=FETCH_AGAIN,
        )
    if strange := [name for name in names if Path(name).name != name]:
        raise CheckpointError(f"{index} names a file elsewhere: {strange[0]}.", remedy=FETCH_AGAIN)
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{index.parent} lacks {len(missing)} of {len(names)} shards: {', '.join(missing)}.",
            cause="a download that was not finished",
            remedy="fetch the missing files",
        )
    return [index.parent / name for name in names]


def _names_files(weight_map: object) -> TypeGuard[dict[str, str]]:
    names = weight_map.values() if isinstance(weight_map, dict) else [None]
    return all(isinstance(name, str) for name in names)


def _refuse_parts(directory: Path) -> None:
    """Name what holds no whole network, with the command that makes one of it."""
    for name, what, command in PARTS:
        if (directory / name).is_file() and (name != "meta.pt" or [*directory.glob(SHARDS)]):
            raise CheckpointError(
                f"{directory} holds {what} ({name}).",
                remedy=f"merge it with `{command.format(quoted(directory))}` and give what that "
                "writes",
            )
    if shards := sorted(directory.glob(SHARDS)):
        raise CheckpointError(
            f"{directory} holds parts of a distributed checkpoint ({shards[0].name}) without "
            "their .metadata.",
            cause="a copy that left hidden files out",
            remedy="copy the whole folder, then merge it with "
            f"`{MERGE_SHARDS.format(quoted(directory))}` and give what that writes",
        )


def _below(directory: Path) -> Path | None:
    """Return a folder in a directory, or a snapshot of a cache, that has what it lacks."""
    patterns = (*PATTERNS, SHARDS, *(name for name, *_ in PARTS))
    folders = [*directory.iterdir(), *(directory / "snapshots").glob("*")]
    folders = sorted(path for path in folders if path.is_dir())
    return next((path for path in folders if any([*path.glob(name)] for name in patterns)), None)


def quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))


def require_whole(file: Path) -> None:
    """Refuse one shard of several, and the list of them.

    Raises:
        CheckpointError: names the directory to give instead.
    """
    match = _SHARD.search(file.name)
    if match and (match[0] == _INDEX or int(match[1]) > 1):
        what = "the list of the shards" if match[0] == _INDEX else f"one of {int(match[1])} shards"
        raise CheckpointError(
            f"{file} is {what} of a checkpoint.", remedy=f"give --weights {quoted(file.parent)}"
        )


def refuse_file(file: Path) -> CheckpointError:
    """Return the error of a file that neither name nor content make one of weights."""
    return CheckpointError(
        f"{file} is no file of weights ({', '.join(sorted(KNOWN))}).",
        cause="another file was given than that of the weights",
        remedy="give --weights such a file, or the directory that it is in",
    )


def read_header(file: Path) -> dict[str, Tensor]:
    """Return what a safetensors file holds: 8 bytes of header length, JSON, then the tensors.

    Raises:
        CheckpointError: the file is truncated, not a safetensors file, or has an unknown type.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(len(_LFS))
        length = int.from_bytes(start[:8], "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise _refuse_start(file, start) if file.suffix in KNOWN else refuse_file(file)
        stream.seek(8)
        try:
            entries = json_object.parse(stream.read(length))
            entries.pop("__metadata__", None)
            spans = {name: _span(entry) for name, entry in entries.items()}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"{file} is damaged: its header is not that of a safetensors file.",
                cause="a cut download or copy, or another program's file",
                remedy=FETCH_AGAIN,
            ) from error
    first = 8 + length
    promised = first + _end(file, spans)
    if size != promised:
        raise CheckpointError(
            f"{file} has {size} bytes, its header promises {promised}.",
            cause="a cut download or copy"
            if size < promised
            else "something that was written behind the weights, or a header of another file",
            remedy=FETCH_AGAIN,
        )
    return {name: _stored(file, name, entry, first) for name, entry in entries.items()}


def _end(file: Path, spans: Mapping[str, tuple[int, int]]) -> int:
    """Return where the last tensor ends; they lie one behind the other, as safetensors asks."""
    end = 0
    for name, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        if first != end or last < first:
            raise CheckpointError(
                f"{file} is damaged: tensor {name} is from byte {first} to {last}, and the one "
                f"before it ends at {end}.",
                cause="a file of another program, or a damaged header",
                remedy=FETCH_AGAIN,
            )
        end = last
    return end


def _refuse_start(file: Path, start: bytes) -> CheckpointError:
    """Return the error of a file named as weights that starts as none of them does."""
    if not start:
        what, cause = "is empty", "a download or a copy that did not begin, or a full disk"
    elif start == _LFS:
        what, cause = "is a Git LFS pointer, not the file", "a clone without Git LFS"
    elif start.lstrip().startswith(b"<"):
        what, cause = "is a page of the web, not weights", "a download that needs a login"
    elif start.isascii() and start.decode().replace("\n", "").isprintable():
        what, cause = "is text, not weights", "another file under this name"
    else:
        torch = "" if file.suffix == ".safetensors" else "file of torch.save, nor a "
        what = f"is not a complete {torch}safetensors file"
        cause = "a cut download, or another program's file"
    return CheckpointError(
        f"{file} {what} ({file.stat().st_size} bytes).",
        cause=cause,
        remedy=FETCH_AGAIN + "; in a git clone, run `git lfs pull`",
    )


def plain_name(name: str) -> str:
    """Return a tensor's name without the encoder's `model.` that newer transformers put first."""
    return name.removeprefix("model.")


def refuse_type(file: Path, name: str, dtype: str) -> CheckpointError:
    """Return the error for a tensor of a type that is no floating-point number of a network."""
    return CheckpointError(
        f"{file}: tensor {name} is stored as {dtype}.",
        cause="a checkpoint that is quantised already",
        remedy=f"give weights stored as one of {', '.join(STORED_TYPES)}",
    )


def _span(entry: Mapping[str, Any]) -> tuple[int, int]:
    """Return a tensor's first byte and its end; what is no entry raises one of four errors."""
    first, last = entry["data_offsets"]
    numbers = (first, last, *entry["shape"])
    if type(entry["dtype"]) is not str or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError(entry)
    return first, last


def _stored(file: Path, name: str, entry: Mapping[str, Any], start: int) -> Stored:
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    first, last = entry["data_offsets"]
    if dtype in STORED_TYPES:
        length = prod(shape) * np.dtype(STORED_TYPES[dtype]).itemsize
        if last - first != length:
            raise CheckpointError(f"{file}: tensor {name} is cut short.", remedy=FETCH_AGAIN)
    return Stored(file, dtype, shape, start + first)


def _to_float32(flat: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32, copy=False)
