"""Files of weights as people have them: which ones a directory holds, whole or in shards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import TypeGuard

from scripts import json_object
from scripts.checkpoint import parts
from scripts.errors import CheckpointError
from scripts.json_object import FETCH_AGAIN
from scripts.words import quoted

CONFIG, PROCESSOR, HEAD = "config.json", "preprocessor_config.json", "head.safetensors"
# The files that transformers and timm write, in the order in which they are looked for.
PUBLISHED = ("model.safetensors", "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
PATTERNS = tuple(f"*{suffix}" for suffix in SUFFIXES)
_INDEX = ".index.json"
_SHARD = re.compile(rf"-\d+-of-(\d+)(\.\w+)$|{re.escape(_INDEX)}$")


def is_named_as_weights(name: str) -> bool:
    """Whether a file has a name of weights, in small letters or in capitals."""
    return PurePath(name).suffix.lower() in SUFFIXES


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
    parts.refuse(directory)
    named = sorted(file for file in directory.iterdir() if is_named_as_weights(file.name))
    files = [file for file in named if file.name != HEAD and file.is_file()]
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


def _below(directory: Path) -> Path | None:
    """Return a folder in a directory, or a snapshot of a cache, that has what it lacks."""
    patterns = (*PATTERNS, parts.SHARDS, *(name for name, *_ in parts.PARTS))
    folders = [*directory.iterdir(), *(directory / "snapshots").glob("*")]
    folders = sorted(path for path in folders if path.is_dir())
    return next((path for path in folders if any([*path.glob(name)] for name in patterns)), None)


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
        f"{file} is no file of weights ({', '.join(sorted(SUFFIXES))}).",
        cause="another file was given than that of the weights",
        remedy="give --weights such a file, or the directory that it is in",
    )
