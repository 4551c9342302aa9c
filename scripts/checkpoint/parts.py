"""Networks that are kept in parts: none is read; each is named with the command that merges it."""

from __future__ import annotations

from pathlib import Path

from scripts.errors import CheckpointError
from scripts.words import quoted

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


def refuse(directory: Path) -> None:
    """Name what holds no whole network, with the command that makes one of it.

    Raises:
        CheckpointError: the directory does.
    """
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
