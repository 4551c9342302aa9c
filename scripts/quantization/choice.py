"""The widths of a network's activations: from what is asked for to what is built, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openqnn.network.onnx_network import Network
from openqnn.quantization.encodings import Encodings
from scripts import width_pins
from scripts.catalog import Precision
from scripts.quantization import calibration, forms
from scripts.quantization.calibration import Unseen
from scripts.quantization.forms import Form, Forms
from scripts.quantization.frontier import Budget, Frontier
from scripts.quantization.search import Pins, Search, tensors
from scripts.quantization.twins import Clock, Simulate

# The share of the gate's loss that quantising may use up; the rest is for other pictures.
MARGIN = 0.6


@dataclass(frozen=True)
class Chosen:
    """A network with the widths it gets, the report on why, and what else there was to choose."""

    form: Form
    report: dict[str, object]
    frontier: Frontier | None = None


class Chooser:
    """Chooses widths for the network of `path`, whose activations have encodings of 8 bits.

    What is lost counts against the network of `exact`, where that of `path` has rounded weights.
    """

    def __init__(self, path: Path, made: Encodings, simulate: Simulate, exact: Path) -> None:
        self._network, self._made = Network.load(path), made
        self._exact = Network.load(exact) if exact != path else None
        self._clock = Clock(simulate, path.with_suffix(".onnx_data"))

    def pins(self, file: Path | None) -> Pins:
        """Return the widths that a user's file pins.

        Raises:
            UsageError: it is no file of widths, or names what the network does not have.
        """
        return Pins.load(file, self._network) if file else Pins()

    def choose(
        self, precision: Precision, budget: Budget, pins: Pins, files: Sequence[Path], scratch: Path
    ) -> Chosen:
        """Return the choice for a precision; `files` are pictures that calibration has not seen.

        Raises:
            GateError: no widths are within the budget.
        """
        unseen = Unseen.of(self._network, files)
        plain = forms.plain(self._network, self._made, exact=unseen.same)
        unseen = Unseen.of(self._exact, files) if self._exact else unseen
        # The trial takes the last form: a LayerNormalization's gain has 8 bits, whatever is raised.
        search = calibration.search(*list(plain.values())[-1], unseen, scratch, pins)
        twins = Forms(plain, self._clock)
        search.take(twins.free(search.kinds))
        if precision.budgeted:
            return _budgeted(search, Forms(plain, self._clock.whole), budget)
        gate = precision.gate["cls_mean"]
        found = search.run(1 - MARGIN * (1 - gate), gate)
        form = twins.fastest(forms.candidates(search, found.wide))
        return Chosen(form, _report(search, form, twins, found.facts()))


def _budgeted(search: Search, whole: Forms, budget: Budget) -> Chosen:
    frontier = Frontier(search, whole)
    form = frontier.choose(budget)
    return Chosen(form, _report(search, form, whole, frontier.facts()), frontier)


def _report(search: Search, form: Form, tried: Forms, why: dict[str, object]) -> dict[str, object]:
    """Return what `widths.json` says; what has 16 and 8 bits in it is a file of pins as well."""
    narrow = search.named(tensors(search.kinds) - form.wide)
    whole = {kind.name for kind in search.kinds if not form.wide.intersection(kind.tensors)}
    return {
        "why": {**why, "simulated": tried.report(), "form": form.facts()},
        "16": search.named(form.wide),
        "8": {kind: width_pins.ALL if kind in whole else names for kind, names in narrow.items()},
    }
