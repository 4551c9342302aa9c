"""A stage's refusal as data: written in the container, said by the host with the user's paths."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from scripts.errors import PipelineError, with_exit_code

# Names the file that a stage writes its refusal to; without it, the stage prints it.
VARIABLE = "DINOV3_QNN_REFUSAL"
NAME = ".refusal.json"


def save(error: PipelineError, path: Path) -> None:
    """Write an error as data.

    Raises:
        OSError: it cannot be written, e.g. as the disk is full.
    """
    parts = {"what": error.what, "cause": error.cause, "remedy": error.remedy}
    path.write_text(json.dumps(parts))


def take(
    path: Path, stage: str, exit_code: int, places: Mapping[str, Path]
) -> PipelineError | None:
    """Remove and return a stage's refusal, as one of this machine; None where it left none.

    Args:
        path: the file that `save` wrote.
        stage: its name, which the error begins with.
        exit_code: of the stage; it says the class.
        places: what the container's paths are here.
    """
    try:
        parts = json.loads(path.read_text())
        texts = {name: as_here(str(parts[name]), places) for name in ("what", "cause", "remedy")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        path.unlink(missing_ok=True)
    return with_exit_code(exit_code)(f"{stage}: {texts.pop('what')}", **texts)


def as_here(text: str, places: Mapping[str, Path]) -> str:
    """Return a text with this machine's paths in place of the container's."""
    longest_first = sorted(places, key=len, reverse=True)
    # Whole paths and their beginnings: not a part of another path, nor of a longer name.
    pattern = rf"(?<![\w./-])({'|'.join(map(re.escape, longest_first))})(?![\w-]|\.\w)"
    return re.sub(pattern, lambda match: str(places[match[1]]), text) if places else text
