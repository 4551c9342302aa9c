"""The accuracy of a linear head on float32's features and on a context's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openqnn.progress import say
from scripts import metrics, outputs
from scripts.checkpoint import heads
from scripts.metrics import Features, Head
from scripts.pictures.image_set import HeldOut


def judged(
    reference: Mapping[str, Features],
    built: Mapping[str, Features],
    held_out: HeldOut,
    head: Path | None,
) -> dict[str, Any]:
    """Return accuracies, and with enough pictures what neighbours in CLS say.

    The accuracy is that of the network's own logits where it gives them and the pictures have
    labels; else that of a head of the checkpoint on CLS.
    """
    report: dict[str, Any] = {}
    both = {"reference": reference, "context": built}
    cls = next((name for name in (outputs.TOKENS, outputs.CLS) if name in built), "")
    if outputs.HEAD in built:
        if labels := _labels(held_out, built[outputs.HEAD].shape[1]):
            report["accuracy"] = {
                name: metrics.hits(side[outputs.HEAD], labels) for name, side in both.items()
            }
    elif head and cls:
        weight, bias = _layer(heads.read(head, reference[cls].shape[-1]))
        if labels := _labels(held_out, len(bias)):
            report["accuracy"] = {
                name: metrics.accuracy(side[cls], (weight, bias), labels)
                for name, side in both.items()
            }
    if not cls or len(built[cls]) < metrics.ENOUGH:
        return report
    if len(set(held_out.folders)) > 1:
        report["knn_accuracy"] = {
            name: metrics.knn_accuracy(metrics.vectors(side[cls])[:, 0], held_out.folders)
            for name, side in both.items()
        }
    report["neighbour_agreement"] = metrics.neighbour_agreement(reference[cls], built[cls])
    return report


def _labels(held_out: HeldOut, classes: int) -> list[int] | None:
    labels = held_out.labels(classes)
    if labels is None:
        say(f"  no accuracy: the pictures do not lie in folders named 0 to {classes - 1}")
    return labels


def _layer(head: Mapping[str, NDArray[np.float32]]) -> Head:
    weight = head[heads.WEIGHT]
    return weight, head.get(heads.BIAS, np.zeros(len(weight), weight.dtype))
