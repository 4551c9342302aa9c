"""Finds the activations of an 8-bit network that must have 16 bits, at the least simulated cost.

Rounding errors of different tensors add up, and what a kind of tensor costs in 16 bits is known.
So kinds are raised in the order of their cost until what is left, measured on pictures that
calibration has not seen, is small enough; then those that were not needed go back, dearest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from openqnn.network.onnx_network import Network
from openqnn.progress import say
from openqnn.quantization import sharing
from scripts import catalog, metrics
from scripts.metrics import Features
from scripts.quantization import widths
from scripts.quantization.trial import Trial

# A network's depth is cut into this many parts, each judged on its own.
PARTS = 4
# Where 8-bit weights alone lose too much, activations may lose this many times as much, no less.
OF_WEIGHTS = 3
# Trials take time: a kind goes back to 8 bits only if it has this share of what 16 bits cost.
WORTH = 0.1


@dataclass(frozen=True)
class Kind:
    """Activations of one kind, in the order of the network, and what 16 bits for them cost."""

    name: str
    tensors: tuple[str, ...]
    cost: float

    def parts(self) -> list[set[str]]:
        """Return its tensors cut by depth, where there are enough of them."""
        if len(self.tensors) < PARTS:
            return []
        size = -(-len(self.tensors) // PARTS)
        return [
            set(self.tensors[first : first + size]) for first in range(0, len(self.tensors), size)
        ]


def kinds(network: Network) -> list[Kind]:
    """Return the kinds of a network's activations, cheapest first; unknown ones come last."""
    costs = catalog.width_costs()
    dearest = max(costs.values())
    order = {name: place for place, name in enumerate(sharing.quantized_as(network))}
    made = [
        Kind(name, tuple(sorted(tensors, key=order.__getitem__)), costs.get(name, dearest))
        for name, tensors in widths.kinds(network).items()
    ]
    return sorted(made, key=lambda kind: (kind.cost, kind.name))


def tensors(chosen: Sequence[Kind]) -> set[str]:
    """Return the activations of some kinds."""
    return {name for kind in chosen for name in kind.tensors}


class Search:
    """Raises activations until held-out features reach a bound."""

    def __init__(
        self,
        network: Network,
        trial: Trial,
        pictures: Sequence[Features],
        reference: Features,
    ) -> None:
        self._trial = trial
        self._pictures, self._reference = pictures, reference
        self.kinds = kinds(network)
        self.free = [kind for kind in self.kinds if kind.cost <= 0]

    def loss(self, wide: Iterable[str]) -> float:
        """Return 1 minus the worst CLS cosine or the tokens' mean, with some tensors at 16 bits."""
        found = self._trial(set(wide), self._pictures)
        cosines = metrics.cosine(self._reference, found)
        return 1 - float(min(cosines[:, 0].min(), cosines.mean()))

    def run(self, bound: float) -> set[str]:
        """Return the activations to raise for a cosine of `bound`, or one as near as pays.

        Those that 16 bits make faster are always among them.
        """
        wide = tensors(self.free)
        most, now = 1 - bound, self.loss(wide)
        say(f"  8 bits: cosine {1 - now:.5f} on unseen pictures, wanted {bound:.5f}")
        if now <= most:
            return wide
        least = self.loss(tensors(self.kinds))
        if least > most:
            say(f"  warning: with 8-bit weights it cannot be better than {1 - least:.5f}")
            most = OF_WEIGHTS * least
        raised = self._enough(most)
        return self._thinned(wide | tensors(raised), raised, most)

    def named(self, raised: Collection[str]) -> dict[str, list[str]]:
        """Return raised activations by their kinds, in the order of the network."""
        found = {kind.name: [one for one in kind.tensors if one in raised] for kind in self.kinds}
        return {name: tensors for name, tensors in found.items() if tensors}

    def _enough(self, most: float) -> list[Kind]:
        """Return as few kinds that cost, cheapest first, as are needed: by bisection."""
        low, high = len(self.free) + 1, len(self.kinds)
        while low < high:
            middle = (low + high) // 2
            if self.loss(tensors(self.kinds[:middle])) <= most:
                high = middle
            else:
                low = middle + 1
        return self.kinds[len(self.free) : high]

    def _thinned(self, wide: set[str], raised: Sequence[Kind], most: float) -> set[str]:
        """Return what is left of the raised kinds without those, or their parts, not needed."""
        total = sum(kind.cost for kind in raised)
        for kind in reversed(raised):
            tries = [set(kind.tensors), *kind.parts()] if kind.cost > WORTH * total else []
            for chosen in tries:
                if chosen & wide and self.loss(wide - chosen) <= most:
                    wide = wide - chosen
            if kept := len(wide.intersection(kind.tensors)):
                say(f"  16 bits: {kind.name}, {kept} of {len(kind.tensors)}")
        return wide
