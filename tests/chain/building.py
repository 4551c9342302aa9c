"""Builds for the tests of the chain: the stages as programs, and the provider's own context."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest

from scripts import artefacts, catalog
from scripts.htp import sdk, simulator

TARGET = catalog.targets()["iq9075"]
PRECISIONS = ("fp16", "int8", "w8a16", "w4a16")
# ViT-S takes the simulator minutes.
CASES = [
    *(("digits", precision) for precision in PRECISIONS),
    *(pytest.param("vits16", precision, marks=pytest.mark.slow) for precision in PRECISIONS),
]
WEIGHTS = {"digits": "scripts/catalog/digits", "vits16": "random:1"}


@dataclass(frozen=True)
class Network:
    """One exported network and its pictures, below `root`."""

    name: str
    root: Path

    @property
    def eager(self) -> Path:
        return self.root / artefacts.eager_onnx(self.name)

    def source(self, precision: str) -> tuple[Path, Path | None]:
        """The ONNX file of a precision, and its encodings."""
        if precision == "fp16":
            return self.root / artefacts.lowered_onnx(self.name, precision), None
        quantized = self.root / artefacts.quantized_onnx(self.name, precision)
        return quantized, self.root / artefacts.encodings(self.name, precision)

    def pictures(self) -> list[Path]:
        return sorted((self.root / artefacts.image_set("calibration")).glob("*.raw"))

    def output(self) -> tuple[str, tuple[int, ...]]:
        value = onnx.load(self.eager, load_external_data=False).graph.output[0]
        return value.name, tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def stage(name: str, out: Path, *arguments: str | Path) -> str:
    """Run one stage as the pipeline does; return what it printed."""
    return program(f"scripts.stages.{name}", out, *arguments)


def program(module: str, out: Path, *arguments: str | Path) -> str:
    """Run a Python program that succeeds."""
    command = [sys.executable, "-m", module, "--out", str(out), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def network(name: str, root: Path) -> Network:
    """Export, lower and quantise a network of the catalog."""
    model = catalog.models()[name]
    stage("images", root, "--set", model.images)
    pictures = root / f"images/{model.images}/calibration"
    size = ("--size", str(model.image_size), "--count", "16")
    of = ("--model", name, *size)
    stage("calibrate", root, *of, "--images", pictures, "--set", "calibration")
    stage("export", root, *of[:4], "--weights", WEIGHTS[name])
    exported = Network(name, root)
    calibration = root / artefacts.image_set("calibration")
    for precision in PRECISIONS:
        names = ("--model", name, "--precision", precision)
        stage("lower", root, *names, "--onnx", exported.eager)
        lowered = root / artefacts.lowered_onnx(name, precision)
        if precision != "fp16":
            how = ("--calibration", calibration, "--target", TARGET.name)
            stage("quantize", root, *names, "--onnx", lowered, *how)
    return exported


def libraries(exported: Network, precision: str, out: Path) -> dict[str, Path]:
    """Convert and compile; return the model library of each target."""
    names = ("--model", exported.name, "--precision", precision)
    board = ("--target", TARGET.name)
    stage("convert", out, *names, *board, *onnx_options(exported, precision))
    cpp = out / artefacts.model_cpp(exported.name, precision)
    stage("compile", out, *names, "--cpp", cpp, "--bin", cpp.with_suffix(".bin"))
    return {
        target: out / artefacts.model_library(exported.name, precision, target)
        for target in (sdk.HOST, sdk.DEVICE)
    }


def context(exported: Network, precision: str, out: Path) -> Path:
    """Build a context binary through the SDK's own commands."""
    library = libraries(exported, precision, out)[sdk.HOST]
    arguments = ("--precision", precision, "--library", library, "--target", TARGET.name)
    stage("context", out, *arguments)
    return out / artefacts.context_binary(precision)


def reference(exported: Network, precision: str, out: Path) -> Path:
    """Build the context binary of the QNN execution provider, which nothing of ours is part of."""
    soc = ("--soc-model", str(TARGET.soc_model), "--vtcm-mb", str(TARGET.vtcm_mb))
    arguments = ("--precision", precision, *onnx_options(exported, precision), *soc)
    program("tests.provider_context", out, *arguments)
    return out / artefacts.context_binary(precision)


def onnx_options(exported: Network, precision: str) -> tuple[str | Path, ...]:
    model, encodings = exported.source(precision)
    return ("--onnx", model, *(("--encodings", encodings) if encodings else ()))


def run(exported: Network, binary: Path, count: int) -> list[Any]:
    """Return the simulator's outputs for some pictures."""
    output, shape = exported.output()
    with scratch(binary.parent) as folder:
        runs = simulator.run(binary, exported.pictures()[:count], {output: shape}, folder)
        return [values[output] for values in runs]


def cost(binary: Path) -> dict[str, int]:
    """Return the compiler's estimate that lies beside a context."""
    read: dict[str, int] = json.loads(binary.with_suffix(".estimate.json").read_text())
    return read


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)
