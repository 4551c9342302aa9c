"""The widths of a network's activations: from what is asked for to what is built, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openqnn.network.onnx_network import Network
from openqnn.progress import say
from openqnn.quantization import recipe
from openqnn.quantization.encodings import Encodings
from scripts import catalog, width_pins
from scripts.catalog import Precision
from scripts.quantization import calibration, forms, narrow
from scripts.quantization.calibration import Source, Unseen
from scripts.quantization.forms import Form, Forms
from scripts.quantization.frontier import Branch, Budget, Frontier
from scripts.quantization.pins import Pins
from scripts.quantization.search import Search, tensors
from scripts.quantization.twins import PART, WHOLE, Clock, Simulate

# The share of the gate's loss that quantising may use up; the rest is for other pictures.
MARGIN = 0.6


@dataclass(frozen=True)
class Chosen:
    """A network with the widths it gets, the report on why, and what else there was to choose."""

    form: Form
    report: dict[str, Any]
    frontier: Frontier | None = None

    @property
    def reason(self) -> str:
        """Return in words why it has these widths."""
        return str(self.report["why"]["reason"])


class Chooser:
    """Chooses widths for the network of `path`, whose activations have encodings of 8 bits."""

    def __init__(self, path: Path, made: Encodings, simulate: Simulate) -> None:
        self._path, self._simulate = path, simulate
        self._network, self._made = Network.load(path), made
        self._clock = Clock(simulate, path.with_suffix(".onnx_data"))

    def pins(self, file: Path | None) -> Pins:
        """Return the widths that a user's file pins.

        Raises:
            UsageError: it is no file of widths, or names what the network does not have.
        """
        return Pins.load(file, self._network) if file else Pins()

    def choose(self, precision: Precision, source: Source, pins: Pins, scratch: Path) -> Chosen:
        """Return the choice for a gate, judged on the pictures of `source`."""
        search, twins = self._searched(precision, source, pins, scratch)
        gate = precision.gate["cls_mean"]
        found = search.run(1 - MARGIN * (1 - gate), gate)
        form = twins.fastest(forms.candidates(search, found.wide))
        return Chosen(form, _report(search, form, twins.report(), found.facts()))

    def within(
        self, budget: Budget, precision: Precision, source: Source, pins: Pins, scratch: Path
    ) -> Chosen:
        """Return the choice for a budget of time or accuracy, with either width of weights.

        Raises:
            GateError: no widths are within it.
        """
        branches = [self._branch(precision, source, pins, scratch)]
        narrower = catalog.precisions()[precision.narrower]
        twins = self._twins(narrower)
        if twins[narrower.weights] < twins[precision.weights]:
            branches.append(self._other(narrower, source, pins, scratch))
        frontier = Frontier(branches)
        choice = frontier.choose(budget)
        simulated = [
            {"weights": branch.weights, **row}
            for branch in branches
            for row in branch.forms.report()
        ]
        why = {**choice.facts(), "twins_by_weights": twins}
        report = _report(choice.branch.search, choice.form, simulated, why)
        return Chosen(choice.form, report, frontier)

    def _twins(self, narrower: Precision) -> dict[int, float]:
        """Return the milliseconds of twins, nothing at 16 bits, by the bits of their weights.

        Weights that are not faster buy nothing: they are less exact.
        """
        few = narrow.coarse(self._network, self._made, narrower.weights, narrower.linears)
        made = {recipe.WEIGHT_BITS: self._made, narrower.weights: few}
        twins = {bits: self._clock(self._network, encodings) for bits, encodings in made.items()}
        for bits, milliseconds in twins.items():
            say(f"  {bits}-bit weights: {milliseconds:.3f} ms ({PART})")
        return twins

    def _other(self, narrower: Precision, source: Source, pins: Pins, scratch: Path) -> Branch:
        """Return what there is to choose with the weights of another precision."""
        folder = scratch / narrower.name
        folder.mkdir()
        path = folder / self._path.name
        made = source.encoded(narrower, path)
        other = Chooser(path, made, self._simulate)
        return other._branch(narrower, source, pins, folder)

    def _branch(self, precision: Precision, source: Source, pins: Pins, scratch: Path) -> Branch:
        """Return what there is to choose with the weights of a precision."""
        search, twins = self._searched(precision, source, pins, scratch)
        return Branch(search, Forms(twins.plain, self._clock.whole, WHOLE), precision.weights)

    def _searched(
        self, precision: Precision, source: Source, pins: Pins, scratch: Path
    ) -> tuple[Search, Forms]:
        """Return a search and the forms of twins; scores and probabilities are what is faster."""
        network, observed = self._network, source.observed
        unseen = Unseen.of(network, observed, source.unseen, source.judging)
        frail = Unseen.of(network, observed, source.frail, calibration.FRAIL)
        plain = forms.plain(network, self._made, centred=observed.centred)
        # The trial takes the last form: a LayerNormalization's gain has 8 bits, whatever is raised.
        juries = calibration.juries(unseen, frail, precision)
        search = calibration.search(*list(plain.values())[-1], juries, scratch, pins)
        twins = Forms(plain, self._clock, PART)
        search.take(twins.free(search.kinds))
        return search, twins


def _report(
    search: Search,
    form: Form,
    simulated: Sequence[Mapping[str, object]],
    why: Mapping[str, object],
) -> dict[str, Any]:
    """Return what `widths.json` says; what has 16 and 8 bits in it is a file of pins as well."""
    narrow = search.named(tensors(search.kinds) - form.wide)
    whole = {kind.name for kind in search.kinds if not form.wide.intersection(kind.tensors)}
    facts = {
        "reason": search.explained(str(why["reason"]), form.wide),
        "judged_by": search.judges,
        "simulated": simulated,
        "form": form.facts(),
    }
    return {
        "why": {**why, **facts},
        "16": search.named(form.wide),
        "8": {kind: width_pins.ALL if kind in whole else names for kind, names in narrow.items()},
    }
