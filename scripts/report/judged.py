"""The accuracy report of `verify`, as the page needs it: the one reader of its form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from scripts import metrics
from scripts.outputs import TOKENS
from scripts.report.record import Layer, Pixels, Sample, Verdict
from scripts.words import counted

# Numbers of verify.json with a place of their own on the page.
_SHOWN = (
    *("figures", "gate", "gate_applied", "pictures", "simulated_pictures", "held_out", "engines"),
    *("layers", "widest_activation", "input"),
)
_NAMES = {
    "accuracy.reference": "accuracy of float32",
    "accuracy.context": "accuracy of the context",
    "knn_accuracy.reference": "k-NN accuracy of float32",
    "knn_accuracy.context": "k-NN accuracy of the context",
    "neighbour_agreement": "same five nearest neighbours",
}
# No rounding brings the mean cosine down to this.
_ANOTHER_NETWORK = 0.5
# Decibels below which the integer network has lost what it computes on.
_LOST = 3.0
# How many times wider than calibration's the values of other pictures are where they are clipped.
_WIDER = 1.25
# Decibels that one layer may lose before it is named.
_STEEP = 6.0
# Decibels that are lost before anything is quantised, beyond what CLS and registers make.
_BEFORE = 2.5


def verdict(report: Mapping[str, Any]) -> Verdict:
    """Return the verdict that a `verify.json` holds."""
    shown = {key: value for key, value in report.items() if key not in _SHOWN}
    engines = list(_engines(report.get("engines", {})))
    return Verdict(
        figures=report["figures"],
        gate={key: bound for key, bound in report["gate"].items() if key in report["figures"]},
        is_applied=report["gate_applied"],
        pictures=_in_words(report),
        measures={
            **dict(_measures("", shown)),
            **{name: f"{value:.5f}{_at_least(bound)}" for name, value, bound in engines},
        },
        by_picture=report.get("cls_by_picture") or report.get("patch_by_picture", {}),
        widest=_widest(report.get("widest_activation", {})),
        has_cls="cls_by_picture" in report,
        disagreements=tuple(name for name, value, bound in engines if not value >= bound),
    )


def layers(report: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Return what `verify.json` says of the residual stream, layer by layer.

    The tokens are its end where they are the only output. Other outputs branch off it, side by
    side: they are no steps of it.
    """
    branches = report.get("outputs", {})
    rows = (row for row in report.get("layers", ()) if row["tensor"] not in branches)
    return tuple(Layer(row["tensor"], row["snr_db"], row["cosine_mean"]) for row in rows)


def finding(
    report: Verdict,
    stream: Sequence[Layer],
    samples: Sequence[Sample],
    calibration: Sequence[Pixels] = (),
) -> str:
    """Return in a sentence what the figures look like to someone who has seen many; may be empty.

    Rounding costs a little everywhere. A fault of one layer is a step in the residual stream, and
    a wrong input leaves nothing of the features. Where the integer network on the CPU has lost them
    as well, the context is as it was quantised, and the ranges are what is wrong.

    Args:
        report: what was judged.
        stream: the residual stream, layer by layer.
        samples: the pictures whose features are drawn.
        calibration: the pictures that ranges were observed on, if they were observed.
    """
    if report.missed and stream and stream[-1].snr_db < _LOST and not report.disagreements:
        return (
            "Quantising itself loses the features: the integer network on the CPU keeps"
            f" {max(stream[-1].snr_db, 0):.0f} dB of them, and the context computes what it does."
            f" {_ranges(samples, calibration)}"
        )
    if report.figures.get("cls_mean", 1.0) < _ANOTHER_NETWORK:
        return (
            "So low a cosine is no rounding: the context computes on another input than float32"
            " (order of colours, layout, mean and deviation), or is another network."
        )
    if report.disagreements:
        return (
            "The simulator and the integer network on the CPU are further apart than rounding is:"
            " the context is not the network that was quantised."
        )
    falls = [(before.snr_db - after.snr_db, after.tensor) for before, after in pairwise(stream)]
    fall, tensor = max(falls, default=(0.0, ""))
    if fall > _STEEP:
        return (
            f"The residual stream loses {fall:.0f} dB at {tensor}, more than anywhere else: look at"
            " the encodings of what leads there."
        )
    left = _left(stream, samples[: metrics.LAYERED])
    if stream and stream[-1].snr_db - left > _BEFORE:
        return (
            f"Quantising leaves {stream[-1].snr_db:.0f} dB of signal to noise, but only"
            f" {left:.0f} dB are left against the exported network: what was quantised has other"
            " weights, or takes a rounded input."
        )
    if report.missed and stream:
        return (
            "No layer stands out: the loss grows evenly from layer to layer, as with too few bits"
            " for weights or activations everywhere."
        )
    return ""


def _ranges(samples: Sequence[Sample], calibration: Sequence[Pixels]) -> str:
    """Return what to do about ranges, and whether the pictures say that they clip."""
    spans = [_span(calibration), _span([sample.picture.pixels for sample in samples])]
    if all(spans) and spans[1][1] - spans[1][0] > _WIDER * (spans[0][1] - spans[0][0]):
        own, others = (f"{low} to {high}" for low, high in spans)
        return (
            f"Its ranges clip: pixels of the calibration pictures are {own}, those of the held-out"
            f" ones {others} of 255. Calibrate on pictures like those that it is to see, --images."
        )
    return "Look at its ranges, which may clip, and at its bits, which may be too few."


def _span(pictures: Sequence[Pixels]) -> tuple[int, ...]:
    """Return the least and the largest pixel of some pictures; nothing of none."""
    if not pictures:
        return ()
    return min(int(rgb.min()) for rgb in pictures), max(int(rgb.max()) for rgb in pictures)


def _left(stream: Sequence[Layer], samples: Sequence[Sample]) -> float:
    """Return the decibels of the context against float32, for the pictures of the stream.

    They are those of the patches; infinite where the stream does not end in the tokens.
    """
    if not samples or not stream or stream[-1].tensor != TOKENS:
        return math.inf
    reference = np.stack([sample.reference for sample in samples]).astype(np.float32)
    context = np.stack([sample.context for sample in samples]).astype(np.float32)
    return metrics.snr_db(reference, context)


def _widest(activation: Mapping[str, Any]) -> str:
    return f"{activation['tensor']}, {activation['magnitude']:.4g}" if activation else ""


def _in_words(report: Mapping[str, Any]) -> str:
    pictures, simulated = report["pictures"], report.get("simulated_pictures", report["pictures"])
    kind = "held-out" if report.get("held_out", True) else "calibration"
    if simulated < pictures:
        rest = f"{pictures - simulated} by the integer network on the CPU"
        return f"{pictures} {kind} pictures, {simulated} in the simulator and {rest}"
    return f"{counted(pictures, f'{kind} picture')}, all in the simulator"


def _engines(engines: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Yield how alike simulator and integer network on the CPU are, and at least must be."""
    for output, own in engines.items():
        for name, bound in own["at_least"].items():
            key = f"simulator against CPU, {output.replace('_', ' ')}, {name.replace('_', ' ')}"
            yield key, own["figures"][name], bound


def _at_least(bound: float) -> str:
    """Return a bound in words; one that every cosine keeps is none."""
    return f" (at least {bound:.5f})" if bound > -1 else " (no bound: both are far from float32)"


def _measures(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every other number, its place in the file in words."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and not key.endswith("_by_picture"):
            yield from _measures(f"{name}.", value)
        elif isinstance(value, float | int) and not isinstance(value, bool):
            words = name.replace("_", " ").replace(".", ", ")
            yield (
                _NAMES.get(name, words),
                f"{value:.4f}" if isinstance(value, float) else str(value),
            )
