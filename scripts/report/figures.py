"""What of a report two builds are compared by: plain numbers and names, kept inside the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.report.record import Report

SCHEMA = 2


def of(report: Report) -> dict[str, Any]:
    """Return the figures of a report as JSON takes them."""
    profile = report.profile
    has_time = profile["milliseconds"] is not None
    return {
        "schema": SCHEMA,
        "title": report.title,
        "facts": dict(report.facts),
        "origin": dict(report.origin),
        "synthetic": report.synthetic,
        "figures": dict(report.verdict.figures),
        "gate": dict(report.verdict.gate),
        "missed": report.verdict.missed,
        "measures": dict(report.verdict.measures),
        "pictures": report.verdict.pictures,
        "time": _time(profile) if has_time else {},
        "layers": _microseconds(profile, "layers"),
        "kinds": _microseconds(profile, "kinds"),
        "bytes": {
            "context": profile["context_bytes"],
            **({"ddr": profile["ddr_bytes"]} if has_time else {}),
            **{artefact.name: artefact.size for artefact in report.artefacts},
        },
        "digests": {artefact.name: artefact.sha256 for artefact in report.artefacts},
        "tensors": {
            tensor.name: [tensor.bits, _short(tensor.low), _short(tensor.high)]
            for tensor in report.tensors
        },
        "rewrites": {row["name"]: row["fired"] for row in report.rewrites},
    }


def _time(profile: Mapping[str, Any]) -> dict[str, float]:
    return {
        "simulated": profile["milliseconds"],
        "lower": profile["compiler"]["microseconds_low"] / 1000,
        "upper": profile["compiler"]["microseconds_high"] / 1000,
    }


def _microseconds(profile: Mapping[str, Any], group: str) -> dict[str, float]:
    """Return the timeline's times by layer or kind of operator; none where there is no timeline."""
    return {row["name"]: row["microseconds"] for row in profile.get(group, ())}


def _short(value: float) -> float:
    return float(f"{value:.6g}")
