"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, e.g. `1 picture`, `2 pictures`; `plural` is an unusual one."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"
