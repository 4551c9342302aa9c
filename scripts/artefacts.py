"""Names of every file under `build/<network>/`: the contract between stages, tasks and users.

All paths are relative to `build/<network>/` and use the model's catalog name, e.g. `vith16plus`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath as Path

# Facts about a build that only the host knows, as JSON, are in this environment variable.
FACTS_VARIABLE = "DINOV3_QNN_FACTS"

# Time and memory of a stage, which go into its manifest.
USAGE_FILE = ".usage.json"

# The report of a build that missed its gate, in the folder of what was measured.
PAGE = "report.html"

# The report of a build on this machine, beside the one that goes into the package.
BUILD_PAGE = "build.html"

# What the rewrites of `lower` save, written by the benchmark.
GAINS = "gains.json"
TIMELINES = "timelines.json"


def network(model: str, size: str = "", input: str = "", outputs: str = "") -> str:
    """Return the name of a network: its model, and whatever of the rest is not its usual one.

    It names the build folder and the archive, e.g. `vits16-480x640-uint8` or `digits-head`.
    """
    return "-".join(filter(None, (model, size, input, outputs)))


def eager_onnx(model: str) -> Path:
    """Return the exported fp32 network; its weights are in the `.onnx_data` beside it."""
    return Path(f"models/dinov3_{model}_eager.onnx")


def lowered_onnx(model: str, precision: str) -> Path:
    """Return the fp32 network in the forms that the HTP is fast at for a precision."""
    return Path(f"models/dinov3_{model}_{precision}_lowered.onnx")


def rewrites(model: str, precision: str) -> Path:
    """Return what each rewrite of `lower` did: how often it fired, and where not, why."""
    return Path(f"models/dinov3_{model}_{precision}.rewrites.json")


def quantized_onnx(model: str, precision: str) -> Path:
    """Return the fp32 network that `encodings` belong to (equalised, weights not yet rounded)."""
    return Path(f"models/dinov3_{model}_{precision}.onnx")


def ranges(model: str, precision: str) -> Path:
    """Return the magnitudes of the lowered network's activations, of `audit`."""
    return Path(f"models/dinov3_{model}_{precision}.ranges.json")


def encodings(model: str, precision: str) -> Path:
    """Return the quantisation encodings, as `qnn-onnx-converter` takes them (AIMET 0.6.1)."""
    return Path(f"models/dinov3_{model}_{precision}.encodings.json")


def aimet_encodings(model: str, precision: str) -> Path:
    """Return the same encodings in the newest version of AIMET's format, of `quantize`."""
    return Path(f"models/dinov3_{model}_{precision}.aimet.encodings")


def widths(model: str, precision: str) -> Path:
    """Return the list of activations that have 16 bits in an 8-bit network, of `quantize`."""
    return Path(f"models/dinov3_{model}_{precision}.widths.json")


def frontier(model: str, precision: str) -> Path:
    """Return the path of the accuracies and times to choose from, of `quantize`."""
    return Path("models") / f"dinov3_{model}_{precision}.frontier.json"


def image_set(name: str) -> Path:
    """Return a folder of preprocessed pictures: raws, `input_list.txt`, `manifest.json`."""
    return Path(f"calibration/{name}")


def model_cpp(model: str, precision: str) -> Path:
    """Return the QNN model source; `.bin` and `_net.json` stand beside it."""
    return Path(f"models/dinov3_{model}_{precision}.cpp")


def model_library(model: str, precision: str, toolchain: str) -> Path:
    """Return a model library, `toolchain` being Qualcomm's name, e.g. `x86_64-linux-clang`."""
    return Path(f"libs/{toolchain}/libdinov3_{model}_{precision}.so")


def context_binary(precision: str) -> Path:
    """Return the HTP context binary."""
    return Path(f"final_binary/{precision}/dinov3_{precision}_htp.serialized.bin")


def estimate(precision: str) -> Path:
    """Return the compiler's estimate of the context's time on the device."""
    return context_binary(precision).with_suffix(".estimate.json")


def timeline(precision: str) -> Path:
    """Return the compiler's simulated timeline of an inference, which `profile` reads."""
    return context_binary(precision).with_suffix(".timeline.json.gz")


def verify_report(precision: str) -> Path:
    """Return the accuracy report."""
    return Path(f"final_binary/{precision}/verify.json")


def golden_outputs(precision: str, outputs: Sequence[str]) -> list[Path]:
    """Return the simulator's outputs for the first held-out picture, raw float32, one a file."""
    folder = Path(f"final_binary/{precision}")
    if len(outputs) == 1:
        return [folder / "golden_output.raw"]
    return [folder / "golden_outputs" / f"{name}.raw" for name in outputs]


def profile_report(precision: str) -> Path:
    """Return the compiler's own estimate of the time on the device."""
    return Path(f"final_binary/{precision}/profile.json")


def trace(precision: str) -> Path:
    """Return the timeline in Chrome's format, which Perfetto opens."""
    return Path(f"final_binary/{precision}/profile.trace.json")


def operators(precision: str) -> Path:
    """Return the table of all nodes of the timeline, as CSV."""
    return Path(f"final_binary/{precision}/profile.operators.csv")


def features(precision: str) -> Path:
    """Return features of a few held-out pictures and the cosine of every patch, for the report."""
    return Path(f"reports/{precision}/features.npz")


def is_features(name: str) -> bool:
    """Tell whether a file holds such features: float32, in whose last digits processors differ."""
    return Path(name).parts[0] == "reports" and Path(name).name == "features.npz"


def report_page(precision: str) -> Path:
    """Return the report that goes into the package: nothing in it was measured by a clock."""
    return Path(f"reports/{precision}/report.html")


def build_page(precision: str) -> Path:
    """Return the report of the build on this machine: with its times, memory and archive."""
    return Path(f"reports/{precision}/{BUILD_PAGE}")


def failed(stage: str) -> Path:
    """Return the folder of what a stage measured and then refused; nothing there counts."""
    return Path("failed") / stage


def is_product(name: str) -> bool:
    """Tell whether a file is a context binary, or lies where people look at one and its reports."""
    return Path(name).parts[0] in ("final_binary", "reports")


def package(network: str, precision: str, target: str) -> Path:
    """Return the deployable archive of a network, which `network` names."""
    return Path(f"packages/dinov3_{network}_{precision}_{target}.tar.gz")


def with_suffix(path: Path, suffix: str) -> Path:
    """Return a sibling of `path` with its last suffix replaced, e.g. `.onnx_data` or `.bin`."""
    return path.with_suffix(suffix)
