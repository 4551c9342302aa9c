"""What a choice of widths becomes: a network, its encodings and its simulated time.

A choice can be had in two forms of its norms, and with more 16 bits than it asks for, which is at
times faster: fewer conversions between widths. The compiler tells which is the fastest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import onnx

from openqnn.network.onnx_network import Network
from openqnn.progress import heartbeat, say
from openqnn.quantization.encodings import Encodings
from scripts.quantization import norms, widths
from scripts.quantization.search import Kind, Search, tensors
from scripts.words import counted

# The milliseconds of a quantised network, or of a part that tells which of two is faster. It is
# called from several threads at once.
Time = Callable[[Network, Encodings], float]
EVERYTHING = "all activations at 16 bits"
# A choice that takes up to this much of what 8 bits do is faster than everything at 16 bits, which
# takes 1.27 times as long in every network that was measured.
NEAR = 1.1
# What is at 16 bits, by what it is called, and the norms that the network has.
Point = tuple[str, str, Collection[str]]


@dataclass(frozen=True)
class Form:
    """A network with some activations raised, and the time that it, or a twin of it, takes."""

    what: str
    norm: str
    wide: frozenset[str]
    milliseconds: float
    network: Network
    encodings: Encodings

    def facts(self) -> dict[str, object]:
        """Return what a report says of it."""
        return {"what": self.what, "norm": self.norm, "milliseconds": round(self.milliseconds, 4)}

    def save(self, path: Path) -> None:
        """Write the network to `path`; its weights are moved beside it from where they are."""
        data = path.with_suffix(".onnx_data")
        if self.network.folder != path.parent and (self.network.folder / data.name).exists():
            (self.network.folder / data.name).replace(data)
        onnx.save(self.network.model, path)


class Forms:
    """The forms of a network that was calibrated with 8 bits."""

    def __init__(
        self, plain: Mapping[str, tuple[Network, Encodings]], time: Time, part: str = "simulated"
    ) -> None:
        """Take the network and its encodings, before any is raised, by the name of its norms.

        `part` says behind milliseconds what of the network they are of.
        """
        self.plain, self._time, self._part = plain, time, part
        self._known: dict[tuple[str, frozenset[str]], Form] = {}
        self._least = 0.0

    def fastest(self, candidates: Mapping[str, Collection[str]]) -> Form:
        """Return the fastest form of any of some choices, the first of which says whose norms.

        Everything at 16 bits is not tried where the first is nearly as fast as `free`'s.
        """
        what, *others = candidates
        plain = [*self.plain, *self._by_width(candidates[what])]
        forms = self._forms([(what, norm, candidates[what]) for norm in plain])
        best = min(forms, key=_milliseconds)
        if best.milliseconds <= NEAR * self._least:
            others = [other for other in others if other != EVERYTHING]
        more = self._forms([(other, best.norm, candidates[other]) for other in others])
        return min([best, *more], key=_milliseconds)

    def free(self, kinds: Iterable[Kind]) -> list[Kind]:
        """Return the kinds of attention scores and probabilities, if 16 bits make them faster."""
        softmax = [kind for kind in kinds if widths.of_softmax(kind.name)]
        norm = next(iter(self.plain))
        wide_softmax = "attention scores and probabilities at 16 bits, the rest at 8"
        points = [("activations at 8 bits", norm, ()), (wide_softmax, norm, tensors(softmax))]
        narrow, wide = self._forms(points)
        self._least = min(narrow.milliseconds, wide.milliseconds)
        return softmax if wide.milliseconds < narrow.milliseconds else []

    def report(self) -> Sequence[dict[str, object]]:
        """Return what was simulated."""
        return [form.facts() for form in self._known.values()]

    def _by_width(self, wide: Collection[str]) -> list[str]:
        """Return the form with both kinds of norms, where some read 16 bits, and some 8."""
        if not {norms.RMS, norms.LAYER} <= self.plain.keys():
            return []
        every = _norms(self.plain[norms.RMS][0])
        return [norms.BY_WIDTH] if 0 < len(_reading(every, wide)) < len(every) else []

    def _network(self, norm: str, wide: Collection[str]) -> tuple[Network, Encodings]:
        """Return the network of a form, nothing raised."""
        if norm != norms.BY_WIDTH:
            return self.plain[norm]
        network, encodings = self.plain[norms.RMS]
        return norms.as_layer_norms(network, encodings, _reading(_norms(network), wide))

    def _forms(self, points: Sequence[Point]) -> list[Form]:
        """Return the forms of some points; those that are new are timed side by side."""
        new: dict[tuple[str, frozenset[str]], Point] = {}
        for point in points:
            if _key(point) not in self._known:
                new.setdefault(_key(point), point)
        if not new:
            return [self._known[_key(point)] for point in points]
        what = f"simulating {counted(len(new), 'choice')} of widths and norms"
        with heartbeat(what), ThreadPoolExecutor(os.cpu_count()) as pool:
            for key, form in zip(new, pool.map(self._timed, new.values()), strict=True):
                say(f"  {form.what}; norms {form.norm}: {form.milliseconds:.3f} ms ({self._part})")
                self._known[key] = form
        return [self._known[_key(point)] for point in points]

    def _timed(self, point: Point) -> Form:
        what, norm, wide = point
        network, encodings = self._network(norm, wide)
        raised = widths.raised(network, encodings, wide)
        return Form(what, norm, frozenset(wide), self._time(network, raised), network, raised)


def candidates(search: Search, wide: Collection[str]) -> dict[str, Collection[str]]:
    """Return a search's choice, and those with more 16 bits that may be faster."""
    stream = tensors(kind for kind in search.kinds if widths.of_stream(kind.name)) & search.most
    raised = frozenset(wide) - search.start
    choices: dict[str, Collection[str]] = {"the choice": frozenset(wide)}
    if raised and not raised >= stream:
        choices["the choice, and the whole residual stream at 16 bits"] = frozenset(wide) | stream
    if raised - stream:
        choices[EVERYTHING] = frozenset(search.most)
    return choices


def plain(
    network: Network, encodings: Encodings, *, centred: bool
) -> dict[str, tuple[Network, Encodings]]:
    """Return a network and its encodings by the name of its norms, and in their other form.

    That computes the same where the stream is `centred`, before weights are rounded: the mean that
    rounding brings into it is noise, which a LayerNormalization takes out again.
    """
    forms = {norms.name(network): (network, encodings)}
    if centred and norms.has_other_form(network):
        forms[norms.LAYER] = norms.as_layer_norms(network, encodings)
    return forms


def _norms(network: Network) -> dict[str, str]:
    """Return what every RMSNormalization reads, by what it writes."""
    return {
        node.output[0]: node.input[0] for node in network.graph.node if node.op_type == norms.RMS
    }


def _reading(read: Mapping[str, str], wide: Collection[str]) -> set[str]:
    """Return the outputs of the norms that read one of some tensors."""
    return {output for output, source in read.items() if source in wide}


def _key(point: Point) -> tuple[str, frozenset[str]]:
    _, norm, wide = point
    return norm, frozenset(wide)


def _milliseconds(form: Form) -> float:
    return form.milliseconds
