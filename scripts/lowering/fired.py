"""How often a rewrite fired, and why it did not where it did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Place = TypeVar("Place")
# What a rewrite of one place returns where it fired; anything else is the reason why not.
DONE = ""


@dataclass(frozen=True)
class Fired:
    """How often a rewrite fired, and each reason why not with the number of its places."""

    count: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def not_at_all(cls, reason: str) -> Fired:
        """Return the result of a rewrite that cannot be applied to this network."""
        return cls(0, {reason: 1})


def each(places: Iterable[Place], rewrite: Callable[[Place], str], absent: str) -> Fired:
    """Rewrite one place after another.

    Args:
        places: what the pattern matches.
        rewrite: rewrites one place and returns `DONE`, or returns why it leaves it as it is.
        absent: the reason where the pattern matches nothing.
    """
    outcomes = Counter(map(rewrite, places))
    count = outcomes.pop(DONE, 0)
    return Fired(count, dict(outcomes) if count or outcomes else {absent: 1})
