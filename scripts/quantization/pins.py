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
            raise _unknown(kind, self._kinds, "kinds")
        if names == width_pins.ALL:
            return self._kinds[kind]
        for name in names:
            if name not in self._kinds[kind]:
                raise self._stranger(name, kind)
        return names

    def _stranger(self, name: str, kind: str) -> UsageError:
        """Return the refusal of a tensor that is not of the kind under which a file has it."""
        source = self._source.get(name)
        if source is None:
            return _unknown(name, self._kinds[kind], f"tensors of {kind!r}")
        own = next(own for own, tensors in self._kinds.items() if source in tensors)
        what = "is" if source == name else f"only moves the values of {source!r}, which is"
        return UsageError(
            f"The file of --widths has {name!r} under {kind!r}: it {what} of the kind {own!r}.",
            cause="a slip in a file written by hand",
            remedy=f"name {source!r} under {own!r}",
        )


def _unknown(name: str, names: Collection[str], what: str) -> UsageError:
    """Return the refusal of a name that a network does not have; most like it come first."""
    likeness = difflib.SequenceMatcher(b=name)

    def unlike(other: str) -> float:
        likeness.set_seq1(other)
        return -likeness.ratio()

    shown = sorted(names, key=unlike)[:SHOWN]
    rest = len(names) - len(shown)
    more = f" and {rest} more, all in the widths.json of a build" if rest else ""
    return UsageError(
        f"The file of --widths names {name!r}, which this network does not have.",
        cause="it is of another network, or of one with another --size or --input",
        remedy=f"one of its {what}: {', '.join(shown)}{more}",
    )
