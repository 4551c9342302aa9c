"""The accuracy report of `verify`, as the page needs it: the one reader of its form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.report.record import Layer, Verdict

# Numbers of verify.json with a place of their own on the page.
_SHOWN = ("figures", "gate", "gate_applied", "pictures", "layers", "widest_activation", "input")
_NAMES = {
    "accuracy.reference": "accuracy of float32",
    "accuracy.context": "accuracy of the context",
    "neighbour_agreement": "same five nearest neighbours",
}


def verdict(report: Mapping[str, Any]) -> Verdict:
    """Return the verdict that a `verify.json` holds."""
    shown = {key: value for key, value in report.items() if key not in _SHOWN}
    return Verdict(
        figures=report["figures"],
        gate=report["gate"],
        is_applied=report["gate_applied"],
        pictures=_in_words(report["pictures"]),
        measures=dict(_measures("", shown)),
        cls=report.get("cls_by_picture", {}),
    )


def layers(report: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Return what `verify.json` or `layers.json` says of the residual stream, layer by layer."""
    rows = report.get("layers", ())
    return tuple(Layer(row["tensor"], row["snr_db"], row["cosine_mean"]) for row in rows)


def _in_words(pictures: Any) -> str:
    if isinstance(pictures, Mapping):
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in pictures.items())
    return f"{pictures} in the simulator"


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
