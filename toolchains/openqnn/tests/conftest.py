"""An SDK root of openqnn with Qualcomm's libraries in it, and the golden model built with it.

`OPENQNN_ROOT` names the root; the image has it at /opt/openqnn.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SOURCES = Path(__file__).resolve().parents[1]
HOST = "x86_64-linux-clang"
BOARD = "aarch64-ubuntu-gcc9.4"
# How the native programs end: see src/common/failure.hpp.
USAGE, CONFIG, LIBRARY, VERSION, MODEL, GRAPH = 40, 41, 42, 43, 44, 45
CONTEXT, TARGET, INPUT, FILE, INTERNAL = 47, 48, 49, 50, 52
GOLDEN = SOURCES / "tests/golden/tiny_fc.cpp"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(os.environ.get("OPENQNN_ROOT", "/opt/openqnn"))


@pytest.fixture(scope="session")
def backend(root: Path) -> Path:
    return root / "lib" / HOST / "libQnnHtp.so"


@pytest.fixture(scope="session")
def run(root: Path) -> Run:
    def call(program: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [str(root / "bin" / HOST / program), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return call


@pytest.fixture(scope="session")
def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "fc_weight": random.standard_normal((16, 32)).astype(np.float32),
        "fc_bias": random.standard_normal(16).astype(np.float32),
    }


@pytest.fixture(scope="session")
def golden_bin(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("bin")
    path = folder / "tiny_fc.bin"
    with tarfile.open(path, "w") as tar:
        for name, values in weights.items():
            values.tofile(folder / f"{name}.raw")
            tar.add(folder / f"{name}.raw", f"{name}.raw")
    return path


@pytest.fixture(scope="session")
def libraries(run: Run, golden_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden model's libraries: `<target>/libtiny_fc.so` for this machine and the board."""
    out = tmp_path_factory.mktemp("libs")
    done = run(
        "qnn-model-lib-generator", "-c", GOLDEN, "-b", golden_bin, "-o", out, "-l", "tiny_fc",
        "-t", f"{HOST} {BOARD}", cwd=out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def model(libraries: Path) -> Path:
    return libraries / HOST / "libtiny_fc.so"


@pytest.fixture
def config(root: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write both levels of a configuration; keywords replace the blocks of the good one."""

    def write(text: str = "", **blocks: Any) -> Path:
        graph = {"graph_names": ["tiny_fc"], "O": 3, "vtcm_mb": 8, "fp16_relaxed_precision": 1}
        level2 = {"graphs": [graph], "devices": [{"soc_model": 77, "dsp_arch": "v73"}], **blocks}
        (tmp_path / "level2.json").write_text(text or json.dumps(level2))
        extensions = {
            "shared_library_path": str(root / "lib" / HOST / "libQnnHtpNetRunExtensions.so"),
            "config_file_path": str(tmp_path / "level2.json"),
        }
        (tmp_path / "level1.json").write_text(json.dumps({"backend_extensions": extensions}))
        return tmp_path / "level1.json"

    return write


Generate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def generate(run: Run, backend: Path, model: Path, config: Callable[..., Path]) -> Generate:
    """Compile the golden model to `<folder>/tiny.bin`; keywords replace options."""

    def call(folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
        chosen: dict[str, object] = {
            "model": model,
            "backend": backend,
            "binary_file": "tiny",
            "output_dir": folder,
            **options,
        }
        if "config_file" not in chosen:
            chosen["config_file"] = config()
        words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        return run("qnn-context-binary-generator", *words)

    return call


@pytest.fixture
def context(generate: Generate, tmp_path: Path) -> Path:
    done = generate(tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "tiny.bin"


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, list[np.ndarray]]:
    """An input list of two samples, and the samples."""
    random = np.random.default_rng(5)
    samples = [random.standard_normal((8, 32)).astype(np.float32) for _ in range(2)]
    for index, sample in enumerate(samples):
        sample.tofile(tmp_path / f"x{index}.raw")
    path = tmp_path / "input_list.txt"
    path.write_text(f"{tmp_path}/x0.raw\n\nx:={tmp_path}/x1.raw\n")
    return path, samples
