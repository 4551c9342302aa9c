"""A made-up build with all that a report is made of: its figures are invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scripts import catalog, digests, metrics
from scripts.outputs import TOKENS, has_cls
from scripts.report import files, page, reading
from scripts.report.files import Names
from scripts.report.record import Run
from scripts.verification import sample

SIDE, PATCHES, HIDDEN, PICTURES = 32, 4, 8, 6
HOST = {
    "image": {"digest": f"sha256:{64 * '1'}"},
    "source": {"digest": {"gitCommit": 40 * "2"}},
    "parameters": {"weights": "builtin", "sdk": "openqnn"},
}
# Decibels of the residual stream, layer by layer.
LAYERS = (38.0, 35.5, 33.0, 31.0)
ESTIMATE = {
    "microseconds": 112,
    "microseconds_low": 103,
    "microseconds_high": 124,
    "cycles": 168681,
    "input_fill_bytes": 774144,
    "intermediate_fill_bytes": 0,
    "intermediate_spill_bytes": 0,
    "output_spill_bytes": 8192,
}
FRONTIER = [
    {"kinds": [], "cosine": 0.9, "milliseconds": 0.1, "simulated": True, "weights": 4},
    {
        "kinds": ["Add to Norm"],
        "cosine": 0.99,
        "milliseconds": 0.112,
        "simulated": True,
        "weights": 8,
    },
    {
        "kinds": ["Add to Norm", "input to Conv"],
        "cosine": 0.999,
        "milliseconds": 0.15,
        "simulated": False,
        "weights": 8,
    },
]


def names(precision: str = "int8") -> Names:
    """Which build it is."""
    return Names(
        catalog.models()["digits"],
        catalog.precisions()[precision],
        catalog.targets()["iq9075"],
    )


def build(root: Path, precision: str = "int8", noise: float = 0.01, output: str = TOKENS) -> Path:
    """Write the files of a build whose features are float32's, and `noise` of their size."""
    at = {name: root / path for name, path in files.paths(names(precision)).items()}
    for path in at.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    reference, context = _features(noise)
    if output != TOKENS:
        reference, context = (
            features[:, 0] if has_cls(output) else features[:, -(PATCHES**2) :]
            for features in (reference, context)
        )
    sample.save(at["features"], {output: reference}, {output: context}, (PATCHES, PATCHES))
    for part in ("calibration", "heldout"):
        _pictures(at[part])
    _write(at["verify"], _verify(precision, reference, context))
    _write(at["profile"], _profile(noise))
    _write(at["export"], _export())
    rewrite = {"name": "rms-norms", "summary": "Do <less>.", "fired": 8, "reasons": {"a & b": 1}}
    _write(at["rewrites"], {"rewrites": [{**rewrite, "nodes_before": 9, "nodes_after": 8}]})
    at["context"].write_bytes(b"v2.51.0.260929181845 context")
    at["library"].write_bytes(b"a library")
    _quantised(at, noise)
    return root


def html(root: Path, precision: str = "int8", run: Run | None = None) -> str:
    """The page of a build."""
    return page.html(reading.read(root, names(precision), HOST, run))


def _features(noise: float) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    shape = (PICTURES, 5 + PATCHES**2, HIDDEN)
    reference = random.normal(size=shape).astype(np.float32)
    return reference, reference + noise * random.normal(size=shape).astype(np.float32)


def _pictures(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(1)
    images = [{"source": f"{i}/<{i}>.png", "rgb": f"{i:06d}.rgb"} for i in range(PICTURES)]
    for image in images:
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        (folder / image["rgb"]).write_bytes(pixels.tobytes())
        image["rgb_sha256"] = digests.of_bytes(pixels.tobytes())
    size = {"height": SIDE, "width": SIDE}
    facts = {"size": size, "mean": [0.5] * 3, "std": [0.2] * 3, "skipped": {}}
    _write(folder / "manifest.json", {**facts, "images": images})


def _verify(precision: str, reference: Any, context: Any) -> dict[str, Any]:
    rows = (metrics.vectors(features)[:, 0] for features in (reference, context))
    name = "patch" if reference.shape[1:2] == (PATCHES**2,) else "cls"
    first = metrics.cosine(*rows).tolist()
    return {
        "input": "float32",
        "pictures": PICTURES,
        "figures": metrics.figures(reference, context, PATCHES**2),
        "gate": dict(catalog.precisions()[precision].gate),
        "gate_applied": False,
        "simulated_pictures": 2,
        "layers": [
            {"tensor": f"layer.{i}.Add", "snr_db": snr, "cosine_mean": 0.99, "cosine_min": 0.9}
            for i, snr in enumerate(LAYERS)
        ],
        "accuracy": {"reference": 0.99, "context": 0.98},
        f"{name}_by_picture": {f"{i}/<{i}>.png": cosine for i, cosine in enumerate(first)},
    }


def _profile(noise: float) -> dict[str, Any]:
    return {
        "context_bytes": 745472,
        "milliseconds": 0.112 + noise,
        "inferences_per_second": 8928.57,
        "ddr_bytes": 782336,
        "ddr_gigabytes_per_second": 6.99,
        "compiler": ESTIMATE,
        **_timeline(),
    }


def _timeline() -> dict[str, Any]:
    """As `profile` has it of a network of two layers; a name may hold what HTML must escape."""
    share = {"unit": "HVX", "busy_microseconds": {"HVX": 40.0}, "dram_bytes": 1, "vtcm_bytes": 2}
    return {
        "timeline": {"milliseconds": 0.112, "idle_milliseconds": 0.002, "vtcm_peak_bytes": 4096},
        "busy": {"HMX": 0.15, "HVX": 0.38, "DMA": 0.16, "scalar": 0.33},
        "bounds_milliseconds": {"ddr": 0.017, "matrix_unit": 0.018},
        "layers": [{"name": f"layer {layer}", "microseconds": 55.0, **share} for layer in range(2)],
        "kinds": [
            {"name": f"Kind<{kind}>", "microseconds": 110 / 14, **share} for kind in range(14)
        ],
        "operators": [{"name": "layer.1.a<b>", "kind": "Softmax", "microseconds": 9.0, **share}],
    }


def _export() -> dict[str, Any]:
    return {
        "tensors_sha256": 64 * "3",
        "synthetic": "",
        "parameters": 467552,
        "picture_size": [SIDE, SIDE],
        "config": {"patch_size": 8, "hidden_size": HIDDEN, "num_register_tokens": 4},
        "torch": "2.13.0+cpu",
        "transformers": "5.23.0",
        "parity": {"pictures": 2, "cosine": 1.0},
    }


def _quantised(files: dict[str, Path], noise: float) -> None:
    """Write what the precision has: encodings, widths and frontier, or the ranges of floats."""
    if "ranges" in files:
        _write(files["ranges"], {"layer.0.Add": {"largest": 71.5, "usual": 9.0}})
        return
    entry = {"bitwidth": 8, "min": -1.0 - noise, "max": 2.0}
    activations = {"layer.0.Add": [entry], "layer.1.Add": [{**entry, "bitwidth": 16, "max": 40.0}]}
    _write(files["encodings"], {"activation_encodings": activations})
    if "widths" in files:
        tried = [{"what": "8 bits", "norm": "RMSNormalization", "milliseconds": 0.099}]
        form = {"what": "the choice", "norm": "RMSNormalization", "milliseconds": 0.112}
        weights = 4 if "frontier" in files else 8
        judges = {"calibration's own pictures": 2, "others": 2}
        facts = {"judged_by": judges, "weights": weights, "simulated": tried, "form": form}
        why = {"reason": "invented", **facts}
        _write(files["widths"], {"why": why, "16": {"Add to Norm": ["layer.1.Add"]}, "8": {}})
    if "frontier" in files:
        _write(files["frontier"], FRONTIER)


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document))
