"""Which files of a repository a checkpoint needs: its weights once, and what describes them."""

from __future__ import annotations

import re
from collections.abc import Collection

from scripts.checkpoint.contents import LICENCES
from scripts.checkpoint.files import (
    CONFIG,
    HEAD,
    PATTERNS,
    PROCESSOR,
    PUBLISHED,
    is_named_as_weights,
    lacks_list,
    list_of,
)
from scripts.errors import CheckpointError

# What describes the weights, or says that they are no whole network.
_BESIDE = (CONFIG, PROCESSOR, HEAD, "adapter_config.json", "zero_to_fp32.py")
_SHARD = re.compile(r"(.+)-\d+-of-\d+\.\w+")


def needed(source: str, names: Collection[str]) -> list[str]:
    """Return the files to fetch out of those of a repository, sorted.

    Raises:
        CheckpointError: it has no weights, or several to choose from.
    """
    beside = {name for name in names if name in _BESIDE or LICENCES.fullmatch(name)}
    return sorted(beside | set(_weights(source, [name for name in names if "/" not in name])))


def _weights(source: str, names: Collection[str]) -> list[str]:
    for name in PUBLISHED:
        if name in names:
            return [name]
        if f"{name}.index.json" in names:
            stem = name.rpartition(".")[0]
            return [f"{name}.index.json", *(shard for shard in names if _is_shard(shard, stem))]
    files = [name for name in names if name != HEAD and is_named_as_weights(name)]
    if listed := list_of(files):
        if listed not in names:
            raise lacks_list(source, listed)
        return [listed, *files]
    if len(files) == 1:
        return files
    if files:
        raise CheckpointError(
            f"{source} has {len(files)} files of weights: {', '.join(sorted(files)[:4])}.",
            remedy="download the one that you mean, and give --weights that file",
        )
    raise CheckpointError(
        f"{source} has no weights: no {', '.join(PUBLISHED)}, no other {', '.join(PATTERNS)}.",
        cause="weights in a folder of the repository, or of another framework",
        remedy="download them, and give --weights the file or directory",
    )


def _is_shard(name: str, stem: str) -> bool:
    match = _SHARD.fullmatch(name)
    return match is not None and match[1] == stem
