"""Pictures that judge a choice of widths together, as a gate judges a build.

A gate asks two things of CLS: how pictures fare on average, and how the worst hundredth does. The
pictures that calibration has not seen stand for the first, the frail ones (`frailty`) for the
second. Their losses become comparable once each counts in shares of what the gate allows it: with a
mean of 0.99 and a hundredth of 0.98, a frail picture's loss counts half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scripts import metrics, outputs
from scripts.metrics import Features

# The worst of a jury, of which a search asks in most trials.
FEW = 2


@dataclass(frozen=True)
class Verdict:
    """What counts as lost, and the places of a jury's pictures, the worst first."""

    loss: float
    order: Sequence[int]


@dataclass(frozen=True, eq=False)
class Jury:
    """Pictures [1, 3, height, width], what float32 gives for them, and what their loss counts.

    `name` is that in `widths.json`, `words` say which pictures they are.

    Of typical pictures the mean of all tokens counts as well, not of frail ones: so with gates.
    """

    name: str
    words: str
    pictures: Sequence[Features]
    reference: Mapping[str, Features]
    weight: float = 1.0
    cls_alone: bool = False

    def verdict(self, values: Mapping[str, Features]) -> Verdict:
        """Judge outputs for the pictures: 1 minus the worst cosine of any output counts."""
        cosines = {name: self._cosines(name, features) for name, features in values.items()}
        by_picture = np.min([self._by_picture(name, rows) for name, rows in cosines.items()], 0)
        means = [] if self.cls_alone else [rows.mean() for rows in cosines.values()]
        least = min(by_picture.min(), *means) if means else by_picture.min()
        order = np.argsort(by_picture, kind="stable")
        return Verdict(self.weight * (1 - float(least)), tuple(order.tolist()))

    def cosine(self, loss: float) -> float:
        """Return the cosine with which so much counts as lost."""
        return 1 - loss / self.weight

    def few(self, verdict: Verdict) -> Jury:
        """Return the pictures that a verdict was hardest on, as a jury of their own."""
        if len(self.pictures) <= FEW:
            return self
        places = verdict.order[:FEW]
        return replace(
            self,
            pictures=[self.pictures[place] for place in places],
            reference={name: rows[[*places]] for name, rows in self.reference.items()},
        )

    def _cosines(self, output: str, features: Features) -> NDArray[np.float64]:
        expected = metrics.vectors(self.reference[output])
        return metrics.cosine(expected, metrics.vectors(features))

    def _by_picture(self, output: str, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cosine of each picture's CLS; 1 where an output has none."""
        return cosines[:, 0] if outputs.has_cls(output) else np.ones(len(cosines))
