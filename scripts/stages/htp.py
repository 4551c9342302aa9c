"""What an HTP context binary says of itself, in clear text. Facts: QAIRT 2.51."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from scripts.errors import ArtefactError

_TARGET = re.compile(rb"(soc_type)=(\w+);(arch)=(\d+);.{0,4096}?(vtcm_size)=(\d+);")


def target_of(context: Path) -> dict[str, str]:
    """Return the clear-text compiler settings `soc_type`, `arch`, `vtcm_size` (bytes) of a file.

    Raises:
        ArtefactError: they are not there.
    """
    found = _TARGET.search(_content(context))
    if not found:
        raise _broken(context, "it names no target")
    texts = [group.decode() for group in found.groups()]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _content(context: Path) -> mmap.mmap:
    if not context.is_file() or not context.stat().st_size:
        raise _broken(context, "it is missing or empty")
    with context.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _broken(context: Path, reason: str) -> ArtefactError:
    return ArtefactError(
        f"{context} is not a whole HTP context binary: {reason}.",
        cause="an interrupted copy, or a file changed after it was built",
        remedy="build it again: `invoke build`",
    )
