"""The accuracy of a linear head on float32's features and on a context's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts import metrics
from scripts.errors import ArtefactError
from scripts.metrics import Features, Head
from scripts.pictures.image_set import HeldOut


def judged(
    reference: Features, built: Features, held_out: HeldOut, head: Path | None
) -> dict[str, Any]:
    """Return accuracies with a head, and with enough pictures what neighbours in CLS say."""
    report: dict[str, Any] = {}
    if head:
        weight, bias = read_head(head, reference.shape[-1])
        labels = held_out.labels(len(bias))
        report["accuracy"] = {
            "reference": metrics.accuracy(reference, (weight, bias), labels),
            "context": metrics.accuracy(built, (weight, bias), labels),
        }
    if len(set(held_out.folders)) > 1 and len(built) >= metrics.ENOUGH:
        report["knn_accuracy"] = {
            name: metrics.knn_accuracy(side[:, 0], held_out.folders)
            for name, side in (("reference", reference), ("context", built))
        }
    if len(built) >= metrics.ENOUGH:
        report["neighbour_agreement"] = metrics.neighbour_agreement(reference, built)
    return report


def read_head(path: Path, hidden: int) -> Head:
    """Return a linear classifier's weight [classes, hidden] and bias.

    Raises:
        ArtefactError: the file has no head for features of this size.
    """
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        weight, bias = tensors["weight"], tensors["bias"]
        if weight.shape != (len(bias), hidden):
            raise ValueError(f"its weight is {weight.shape}, the features have {hidden}")
    except Exception as error:
        raise ArtefactError(f"{path} is no linear head for this model: {error}.") from error
    return weight, bias
