"""Finds the activations of an 8-bit network that must have 16 bits.

A trial of the whole network tells what a choice is worth: to pictures that calibration has not
seen, and to those that 8 bits hurt most (`jury`). The usual causes are tried first, whole:
attention over many tokens, whose probabilities are smaller than a step of 8 bits, then the residual
stream (`Search._steps`). So a search of a large network ends after few trials. Between the first
and the last they ask those pictures alone to which 8 bits do most harm.

Of what remains open, 8 bits' loss is measured for all activations in one pass, those that one
operator of a layer ties together in a group (`Trial.losses`). Rounding errors of different tensors
add up, so groups are raised in the order of what they save for their cost until what is left is
small enough: trials tell how many are needed, by bisection to an eighth of them. So n groups
of k kinds take at most log2(n) + 2 + k trials.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from openqnn.network.onnx_network import Network
from openqnn.progress import say
from openqnn.quantization import sharing
from scripts import catalog
from scripts.quantization import widths
from scripts.quantization.jury import Jury, Verdict
from scripts.quantization.pins import Pins
from scripts.quantization.trial import Trial
from scripts.words import counted

# Where rounded weights lose this share of what may be lost, more 16 bits buy next to nothing.
CEILING = 0.75
# The share of the gate's loss that is then enough.
SETTLED = 0.8
# Where rounded weights alone lose more than the gate, activations may lose this much beside them.
BESIDE_WEIGHTS = 1.25
# A trial takes time: a kind goes back to 8 bits only if it has this share of what 16 bits cost.
WORTH = 0.1
# Bisection stops where one in so many of those raised is open: as many more cost little time.
RESOLUTION = 8
# What a kind costs at least, in the catalog's microseconds: free ones go by what they save.
LEAST_COST = 10.0
# How often a search goes on with pictures for which its choice turns out not to be enough.
ROUNDS = 2
EIGHT = "activations at 8 bits"
# So many kinds does a sentence name.
NAMED = 3


@dataclass(frozen=True)
class Kind:
    """Activations of one kind, in the order of the network, and what 16 bits for them cost."""

    name: str
    tensors: tuple[str, ...]
    cost: float


@dataclass(frozen=True)
class Group:
    """Activations of one kind in one layer: what 8 bits lose, and what 16 bits cost."""

    kind: str
    tensors: tuple[str, ...]
    loss: float
    cost: float

    @property
    def worth(self) -> float:
        """Return what 16 bits save for what they cost."""
        return self.loss / self.cost


@dataclass(frozen=True)
class Step:
    """What a search may raise: kinds as a whole, and kinds of which some groups may do."""

    whole: tuple[Kind, ...]
    parts: tuple[Kind, ...]

    @property
    def tensors(self) -> set[str]:
        """Return its activations."""
        return tensors((*self.whole, *self.parts))

    @property
    def name(self) -> str:
        """Return the names of its kinds."""
        return ", ".join(kind.name for kind in (*self.whole, *self.parts))


@dataclass(frozen=True)
class Found:
    """What a search came to: the tensors to raise, why, and cosines by the names of juries."""

    wide: frozenset[str]
    reason: str
    cosines: Mapping[str, Mapping[str, float]]

    def facts(self) -> dict[str, object]:
        """Return what a report says of it; cosines that stand alone are of typical pictures."""
        rounded = {
            jury: {name: round(cosine, 6) for name, cosine in known.items()}
            for jury, known in self.cosines.items()
        }
        first, *others = rounded
        return {"reason": self.reason, **rounded[first], **{name: rounded[name] for name in others}}


def kinds(network: Network) -> list[Kind]:
    """Return the kinds of a network's activations, cheapest first; unknown ones come last."""
    costs = catalog.width_costs()
    dearest = max(costs.values())
    order = {name: place for place, name in enumerate(sharing.quantized_as(network))}
    kinds_of_network = [
        Kind(name, tuple(sorted(tensors, key=order.__getitem__)), costs.get(name, dearest))
        for name, tensors in widths.kinds(network).items()
    ]
    return sorted(kinds_of_network, key=lambda kind: (kind.cost, kind.name))


def tensors(parts: Iterable[Kind | Group]) -> set[str]:
    """Return the activations of some kinds or groups."""
    return {name for part in parts for name in part.tensors}


class Search:
    """Raises activations until all juries are content."""

    def __init__(
        self, network: Network, trial: Trial, juries: Sequence[Jury], pins: Pins | None = None
    ) -> None:
        self._trial, self._juries = trial, juries
        # Those whom trials ask.
        self._asked = juries
        self.pins = pins or Pins()
        self.kinds = kinds(network)
        self._taken: set[str] = set()
        self._verdicts: dict[tuple[Jury, frozenset[str]], Verdict] = {}

    @property
    def judges(self) -> dict[str, int]:
        """Return how many pictures judge, by what they are."""
        return {jury.words: len(jury.pictures) for jury in self._juries}

    def take(self, kinds: Iterable[Kind]) -> None:
        """Have some more kinds at 16 bits from the start."""
        self._taken |= tensors(kinds)

    @property
    def start(self) -> set[str]:
        """Return what has 16 bits as a whole."""
        return (self._taken - self.pins.narrow) | self.pins.wide

    @property
    def most(self) -> set[str]:
        """Return all that may have 16 bits."""
        return tensors(self.kinds) - self.pins.narrow

    def loss(self, wide: Iterable[str]) -> float:
        """Return what counts as lost with some tensors at 16 bits: by the jury that loses most.

        It is 1 minus the worst CLS cosine or the tokens' mean, of the worst of several outputs.
        """
        key = frozenset(wide)
        return max(self._loss(jury, key) for jury in self._asked)

    def _loss(self, jury: Jury, wide: frozenset[str]) -> float:
        return self._verdict(jury, wide).loss

    def _verdict(self, jury: Jury, wide: frozenset[str]) -> Verdict:
        if (jury, wide) not in self._verdicts:
            self._verdicts[jury, wide] = jury.verdict(self._trial(wide, jury.pictures))
        return self._verdicts[jury, wide]

    def _hardest(self, wide: frozenset[str]) -> Jury:
        """Return whom of those that are asked most is lost to."""
        return max(self._asked, key=lambda jury: self._loss(jury, wide))

    def _told(self, wide: Iterable[str]) -> str:
        """Return a choice's cosine in words, that of the jury to which most is lost."""
        key = frozenset(wide)
        jury = self._hardest(key)
        return f"{jury.cosine(self._loss(jury, key)):.5f} on {jury.words}"

    def groups(self, of: Sequence[Kind] | None = None) -> list[Group]:
        """Return the groups of some kinds, or of all, whose width is open.

        Those that save the most for their cost come first.
        """
        fixed = self.start | self.pins.narrow
        kind_of = {name: kind for kind in of or self.kinds for name in kind.tensors}
        names = {name: kind.name for name, kind in kind_of.items() if name not in fixed}
        groups = [
            Group(names[group[0]], group, loss, max(kind_of[group[0]].cost, LEAST_COST))
            for group, loss in self._trial.losses(names, self._asked[0].pictures[:1]).items()
        ]
        return sorted(groups, key=lambda group: (-group.worth, group.tensors))

    def run(self, bound: float, gate: float) -> Found:
        """Return the activations to raise for a cosine of `bound`, or of about `gate` at least.

        Where rounded weights alone come near the bound, more 16 bits would buy next to nothing for
        much time: then what is enough for the gate is enough.
        """
        start = frozenset(self.start)
        beginning = self._beginning()
        if self._within(start, 1 - bound, beginning):
            return self._result(start, start, bound, f"{beginning} are enough")
        self._asked = [self._few(self._hardest(start), start)]
        goal, reason = self._settled(bound, gate)
        wide = self._chosen(1 - goal)
        for _ in range(ROUNDS):
            if self._within(wide, 1 - goal, "the choice of widths"):
                break
            self._asked = [*self._asked, *self._discontent(wide, 1 - goal)]
            goal, reason = self._settled(bound, gate)
            wide = self._chosen(1 - goal)
        return self._result(start, wide, goal, reason)

    def _beginning(self) -> str:
        """Return in words what widths a search begins with."""
        wide = (("pinned", self.pins.wide), ("faster", self._taken - self.pins.narrow))
        where = " or ".join(word for word, names in wide if names)
        return f"{EIGHT} (16 where {where})" if where else EIGHT

    def explained(self, reason: str, wide: Collection[str]) -> str:
        """Return why some tensors have 16 bits: with pins, what these are and what came to them."""
        pinned = {16: self.pins.wide, 8: self.pins.narrow}
        if not any(pinned.values()):
            return reason
        file = " and ".join(
            f"{self._counted(names)} to {bits} bits" for bits, names in pinned.items() if names
        )
        more = set(wide) - self.pins.wide
        added = self._counted(more) if more else "nothing more"
        return f"a file of --widths pins {file}; the search raised {added} to 16: {reason}"

    def _counted(self, names: Collection[str]) -> str:
        """Return in words how many tensors some are, and of which kinds; once if of one kind."""
        own_kinds = self.named(names)
        if len(own_kinds) == 1:
            return f"{counted(len(names), 'tensor')} of {next(iter(own_kinds))}"
        by_kind = [f"{len(own)} of {kind}" for kind, own in own_kinds.items()]
        rest = len(by_kind) - NAMED
        more = [counted(rest, "more kind")] if rest > 0 else []
        return f"{counted(len(names), 'tensor')} ({', '.join([*by_kind[:NAMED], *more])})"

    def _discontent(self, wide: frozenset[str], most: float) -> list[Jury]:
        """Return the worst pictures of the juries that lose more."""
        juries = [jury for jury in self._juries if self._loss(jury, wide) > most]
        return [self._few(jury, wide) for jury in juries]

    def _few(self, jury: Jury, wide: frozenset[str]) -> Jury:
        """Return the pictures of a jury that lose most; what they lose is what it loses."""
        verdict = self._verdict(jury, wide)
        few = jury.few(verdict)
        self._verdicts[few, wide] = verdict
        return few

    def _within(self, wide: frozenset[str], most: float, what: str) -> bool:
        """Tell whether no jury loses more, and say what each has."""
        for jury in self._juries:
            cosine, goal = (jury.cosine(loss) for loss in (self._loss(jury, wide), most))
            say(f"  {what}: cosine {cosine:.5f} on {jury.words}, wanted {goal:.5f}")
        return all(self._loss(jury, wide) <= most for jury in self._juries)

    def _chosen(self, most: float) -> frozenset[str]:
        """Return the activations to raise so that no jury that is asked loses more."""
        step = self._first(most)
        self.take(step.whole)
        return frozenset(self._thinned(self._enough(step.parts, most), most))

    def _result(
        self, start: frozenset[str], wide: frozenset[str], goal: float, reason: str
    ) -> Found:
        # Neither end has one width alone where some are pinned, or faster with 16 bits.
        ends = {"with_fewest_16_bits": start, "with_most_16_bits": frozenset(self.most)}
        tried = {"reached": wide, **ends}
        cosines = {}
        for jury in self._juries:
            losses = {name: self._known(jury.name, choice) for name, choice in tried.items()}
            known = {
                "wanted": 1 - goal,
                **{name: loss for name, loss in losses.items() if loss is not None},
            }
            cosines[jury.name] = {name: jury.cosine(loss) for name, loss in known.items()}
        return Found(wide, reason, cosines)

    def _known(self, name: str, wide: frozenset[str]) -> float | None:
        """Return what a jury of this name, or the worst of it, loses; None if none was asked."""
        known = [
            verdict.loss
            for (jury, choice), verdict in self._verdicts.items()
            if (jury.name, choice) == (name, wide)
        ]
        return max(known, default=None)

    def named(self, raised: Collection[str]) -> dict[str, list[str]]:
        """Return raised activations by their kinds, in the order of the network."""
        by_kind = {
            kind.name: [name for name in kind.tensors if name in raised] for kind in self.kinds
        }
        return {name: tensors for name, tensors in by_kind.items() if tensors}

    def _settled(self, bound: float, gate: float) -> tuple[float, str]:
        """Return the cosine to reach, and why."""
        least = self.loss(self.most)
        if least <= CEILING * (1 - bound):
            return bound, "the cheapest that reaches what is wanted"
        enough = max(SETTLED * (1 - gate), 1 - bound)
        pinned = " and pinned widths" if self.pins.narrow else ""
        best = self._told(self.most)
        reason = f"with these integer weights{pinned} it cannot be better than {best}"
        jury = self._hardest(frozenset(self.most))
        settled, needed = jury.cosine(enough), jury.cosine(1 - gate)
        if least <= CEILING * enough:
            say(f"  {reason}: {settled:.5f} is enough for the gate of {needed:.5f}")
            return 1 - enough, f"{reason}: chosen is what is enough for the gate"
        say(f"  warning: {reason}; the gate is {needed:.5f}")
        return 1 - max(BESIDE_WEIGHTS * least, enough), reason

    def _steps(self, most: float) -> Iterator[Step]:
        """Yield what may be raised, the usual causes first.

        Scores and probabilities go together: between 8 and 16 bits the HTP's softmax is slow. The
        stream alone leaves at least what scores and probabilities lose, for losses add up.
        """
        softmax = tuple(kind for kind in self.kinds if widths.of_softmax(kind.name))
        stream = tuple(kind for kind in self.kinds if widths.of_stream(kind.name))
        attention = Step(softmax, ())
        yield attention
        if self.loss(self.start) - self.loss(self._with(attention)) <= most:
            yield Step((), stream)
        yield Step(softmax, stream)

    def _with(self, step: Step) -> frozenset[str]:
        """Return what has 16 bits when all of a step has."""
        return frozenset(self.start | (step.tensors - self.pins.narrow))

    def _first(self, most: float) -> Step:
        """Return the first step with which no more than `most` is lost, else all kinds."""
        say("  which activations need 16 bits? They are named by what writes and what reads them")
        for step in self._steps(most):
            wide = self._with(step)
            if wide != self.start:
                say(f"  16 bits for all of {step.name}: cosine {self._told(wide)}")
            if self.loss(wide) <= most:
                return step
        return Step((), tuple(self.kinds))

    def _enough(self, kinds: Sequence[Kind], most: float) -> list[Group]:
        """Return few groups of some kinds, best first, that are enough: by bisection."""
        if self.loss(self.start) <= most:
            return []
        groups = self.groups(kinds)
        number = counted(len(groups), "group")
        say(f"  {number}, each of one kind in one layer: how many of them need 16 bits?")
        low, high = 0, len(groups)
        while high - low > high // RESOLUTION:
            middle = (low + high) // 2
            wide = self.start | tensors(groups[:middle])
            say(f"  16 bits for the {middle} that gain most: cosine {self._told(wide)}")
            if self.loss(wide) <= most:
                high = middle
            else:
                low = middle + 1
        return groups[:high]

    def _thinned(self, raised: Sequence[Group], most: float) -> set[str]:
        """Return what is raised without the kinds that turn out not to be needed, dearest first."""
        costs: dict[str, float] = {}
        for group in raised:
            costs[group.kind] = costs.get(group.kind, 0.0) + group.cost
        needed = list(raised)
        for kind in sorted(costs, key=lambda name: (-costs[name], name)):
            without = [group for group in needed if group.kind != kind]
            dear = costs[kind] >= WORTH * sum(costs.values())
            if dear and self.loss(self.start | tensors(without)) <= most:
                needed = without
        self._say(needed)
        return self.start | tensors(needed)

    def _say(self, raised: Sequence[Group]) -> None:
        counts = {kind.name: len(kind.tensors) for kind in self.kinds}
        for kind, names in self.named(tensors(raised)).items():
            say(f"  16 bits for {len(names)} of {counts[kind]} activations of {kind}")
