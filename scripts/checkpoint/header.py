"""The header of a safetensors file: 8 bytes of its length, JSON, then the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import json_object
from scripts.checkpoint import files
from scripts.checkpoint.tensors import STORED_TYPES, Stored, Tensor, size_of
from scripts.errors import CheckpointError
from scripts.json_object import FETCH_AGAIN

LARGEST = 100_000_000
_LFS = b"version https://git-lfs"


def read_header(file: Path) -> dict[str, Tensor]:
    """Return what a safetensors file holds.

    Raises:
        CheckpointError: the file is truncated, not a safetensors file, or has an unknown type.
    """
    entries, first = _entries(file)
    size, promised = file.stat().st_size, first + _end(file, entries)
    if size != promised:
        raise CheckpointError(
            f"{file} has {size} bytes, its header promises {promised}.",
            cause="a cut download or copy"
            if size < promised
            else "something that was written behind the weights, or a header of another file",
            remedy=FETCH_AGAIN,
        )
    return {name: _stored(file, name, entry, first) for name, entry in entries.items()}


def _entries(file: Path) -> tuple[dict[str, Any], int]:
    """Return what the header has on each tensor, and the byte that the first one begins with."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(len(_LFS))
        length = int.from_bytes(start[:8], "little")
        if not 2 <= length <= min(LARGEST, size - 8):
            raise _refuse_start(file, start)
        stream.seek(8)
        try:
            entries = json_object.parse(stream.read(length))
            entries.pop("__metadata__", None)
            for entry in entries.values():
                _require_entry(entry)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"{file} is damaged: its header is not that of a safetensors file.",
                cause="a cut download or copy, or another program's file",
                remedy=FETCH_AGAIN,
            ) from error
    return entries, 8 + length


def _end(file: Path, entries: Mapping[str, Any]) -> int:
    """Return where the last tensor ends; they lie one behind the other, as safetensors asks."""
    end = 0
    spans = {name: tuple(entry["data_offsets"]) for name, entry in entries.items()}
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
    """Return the error of a file that starts as no weights do, whatever its name says."""
    if not files.is_named_as_weights(file.name):
        return files.refuse_file(file)
    if not start:
        what, cause = "is empty", "a download or a copy that did not begin, or a full disk"
    elif start == _LFS:
        what, cause = "is a Git LFS pointer, not the file", "a clone without Git LFS"
    elif start.lstrip().startswith(b"<"):
        what, cause = "is a page of the web, not weights", "a download that needs a login"
    elif start.isascii() and start.decode().replace("\n", "").isprintable():
        what, cause = "is text, not weights", "another file under this name"
    else:
        torch = "" if file.suffix.lower() == ".safetensors" else "file of torch.save, nor a "
        what = f"is not a complete {torch}safetensors file"
        cause = "a cut download, or another program's file"
    return CheckpointError(
        f"{file} {what} ({file.stat().st_size} bytes).",
        cause=cause,
        remedy=FETCH_AGAIN + "; in a git clone, run `git lfs pull`",
    )


def _require_entry(entry: Mapping[str, Any]) -> None:
    """Hold what a tensor says of itself; what is no entry raises one of four errors."""
    first, last = entry["data_offsets"]
    numbers = (first, last, *entry["shape"])
    if type(entry["dtype"]) is not str or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError(entry)


def _stored(file: Path, name: str, entry: Mapping[str, Any], start: int) -> Stored:
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    first, last = entry["data_offsets"]
    if dtype in STORED_TYPES and last - first != size_of(shape, dtype):
        raise CheckpointError(f"{file}: tensor {name} is cut short.", remedy=FETCH_AGAIN)
    return Stored(file, dtype, shape, start + first)
