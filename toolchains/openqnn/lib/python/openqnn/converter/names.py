"""C identifiers for the names of tensors and nodes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

LONGEST = 80  # a member `<identifier>.raw` still fits the 100 bytes of a plain tar header


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Return a distinct C identifier for each name, the same ones for the same sequence."""
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        made[name] = free(_plain(name), taken)
        taken.add(made[name])
    return made


def _plain(name: str) -> str:
    """Replace what C does not allow; double underscores at the start are the compiler's own."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII)[:LONGEST]
    return text if re.match(r"[A-Za-z]", text) else f"t{text}"


def free(name: str, taken: Collection[str]) -> str:
    """Return an identifier that is not taken: the name, or the name and a number."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
