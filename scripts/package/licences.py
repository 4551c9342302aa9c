"""Licence and notice texts in folders that others made, and Qualcomm's in a package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.errors import SdkError
from scripts.package.item import Item

_WORDS = ("license", "licence", "notice")


def of_sdk(sdk: Path) -> list[Item]:
    """Return the licence and notice texts in an SDK root.

    Raises:
        SdkError: there is none, so its libraries may not be passed on.
    """
    items = [Item(f"licences/qualcomm/{text.name}", text, "licence") for text in texts(sdk)]
    if not items:
        raise SdkError(
            f"{sdk} holds no licence text, and its libraries may not be passed on without one.",
            remedy="put Qualcomm's LICENSE and NOTICE files back into the SDK's root folder",
        )
    return items


def texts(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that are licence or notice texts by their name, in order."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(word in path.name.lower() for word in _WORDS):
            yield path
