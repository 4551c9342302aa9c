"""Widths that a user's file pins, held against the names that a network has."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openqnn.network.onnx_network import Network
from openqnn.quantization import sharing
from scripts import width_pins
from scripts.errors import UsageError
from scripts.quantization import widths
from scripts.words import closest, excerpt

# So many names of a network does the refusal of another name list.
SHOWN = 8


@dataclass(frozen=True)
class Pins:
    """Tensors whose width the user has chosen."""

    wide: frozenset[str] = frozenset()
    narrow: frozenset[str] = frozenset()

    @classmethod
    def load(cls, file: Path, network: Network) -> Pins:
        """Return the pins of a file: {"16": {kind: [tensors] or "all"}, "8": {...}}.

        That is the form of `widths.json`; what else is in it does not count.

        Raises:
            UsageError: it is of another form, or names what the network does not have.
        """
        names, pins = _Names(network), width_pins.read(file)
        wide, narrow = (names.pinned(pins.get(width, {})) for width in width_pins.WIDTHS)
        return cls(frozenset(wide), frozenset(narrow - wide))


class _Names:
    """The names of a network's activations by kind, which a file of widths may use."""

    def __init__(self, network: Network) -> None:
        self._kinds, self._source = widths.kinds(network), sharing.quantized_as(network)

    def pinned(self, entries: Mapping[str, str | Sequence[str]]) -> set[str]:
        """Return the tensors of some entries by kind.

        Raises:
            UsageError: the network has no such kind, or the kind no such tensor.
        """
        return {name for kind, names in entries.items() for name in self._tensors(kind, names)}

    def _tensors(self, kind: str, names: str | Sequence[str]) -> Sequence[str]:
        if kind not in self._kinds:
            raise self._no_kind(kind, [] if names == width_pins.ALL else names)
        if names == width_pins.ALL:
            return self._kinds[kind]
        for name in names:
            if name not in self._kinds[kind]:
                raise self._stranger(name, kind)
        return names

    def _no_kind(self, kind: str, names: Sequence[str]) -> UsageError:
        """Return the refusal of a kind that a network does not have, and under it some tensors."""
        own = sorted({self._own(name) for name in names if name in self._source})
        meant = f"its tensors are of the kind {own[0]!r}" if len(own) == 1 else ""
        return _unknown(kind, self._kinds, "kinds", meant)

    def _stranger(self, name: str, kind: str) -> UsageError:
        """Return the refusal of a tensor that is not of the kind under which a file has it."""
        source = self._source.get(name)
        if source is None:
            near = closest(name, self._source)
            meant = f"{near!r} under {self._own(near)!r} is the nearest" if near else ""
            return _unknown(name, self._kinds[kind], f"tensors of {kind!r}", meant)
        own = self._own(name)
        what = "is" if source == name else f"only moves the values of {source!r}, which is"
        return UsageError(
            f"The file of --widths has {name!r} under {kind!r}: it {what} of the kind {own!r}.",
            cause="a slip in a file written by hand",
            remedy=f"name {source!r} under {own!r}",
        )

    def _own(self, name: str) -> str:
        """Return the kind of a tensor, or of what it only moves the values of."""
        return next(kind for kind, tensors in self._kinds.items() if self._source[name] in tensors)


def _unknown(name: str, names: Collection[str], what: str, meant: str) -> UsageError:
    """Return the refusal of a name that a network does not have; most like it come first.

    `meant` says in words what may have been meant, where that can be told.
    """
    name = excerpt(name)  # likeness takes the product of two lengths
    likeness = difflib.SequenceMatcher(b=name)

    def unlike(other: str) -> float:
        likeness.set_seq1(other)
        return -likeness.ratio()

    listed = sorted(names, key=unlike)[:SHOWN]
    rest = len(names) - len(listed)
    more = f" and {rest} more, all in the widths.json of a build" if rest else ""
    return UsageError(
        f"The file of --widths names {name!r}, which this network does not have.",
        cause="a slip in a file written by hand, or one of another network, --size or --input",
        remedy=f"{meant}{'; ' if meant else ''}one of its {what}: {', '.join(listed)}{more}",
    )
