"""The plain ONNX Runtime recipe, as its documentation shows it: what `invoke bench` compares with.

Export with torch, `get_qnn_qdq_config` and `quantize`, then a context by the QNN provider.
It is not part of a build.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openqnn.progress import heartbeat
from scripts import catalog, program
from scripts.bench import recipe
from scripts.htp import estimate
from scripts.picture_size import PictureSize

EXPORTED = "peer.onnx"
QUANTIZED = "peer.qdq.onnx"
CONTEXT = "peer_ctx.onnx"
PROFILE = "peer_profile.csv"


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = program.parser(__doc__)
    parser.add_argument("--step", choices=recipe.STEPS, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--work", type=Path, required=True, help="where earlier steps wrote")
    parser.add_argument("--calibration", type=Path, help="folder of raws")
    parser.add_argument("--size", type=PictureSize.parse)
    parser.add_argument("--target", default="iq9075")
    parser.add_argument("--layers", type=int, help="default: those of the model")
    return parser.parse_args()


def main(options: argparse.Namespace) -> None:
    """Run one step of the recipe."""
    with heartbeat(f"plain recipe, {options.step}"):
        {"export": _export, "quantize": _quantize, "context": _context}[options.step](options)


def _export(options: argparse.Namespace) -> None:
    import torch
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    model = catalog.pick(catalog.models(), options.model, "model")
    config = DINOv3ViTConfig(
        hidden_size=model.hidden_size,
        num_hidden_layers=options.layers or model.layers,
        num_attention_heads=model.heads,
        intermediate_size=model.intermediate_size,
        use_gated_mlp=model.gated_mlp,
        hidden_act="silu" if model.gated_mlp else "gelu",
        num_register_tokens=4,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    network = DINOv3ViTModel(config).eval()
    pixels = torch.zeros(1, 3, *_size(options).axes)
    exported = torch.onnx.export(
        network,
        (pixels,),
        kwargs={"return_dict": False},
        input_names=["pixel_values"],
        output_names=["last_hidden_state", "pooler_output"],
        dynamo=True,
        opset_version=21,
    )
    exported.save(options.out / EXPORTED, external_data=True)


def _quantize(options: argparse.Namespace) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.samples = _samples(options)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self.samples, None)

    # The recipe writes beside its input, which is read-only in a build; the copy takes a second.
    if options.work != options.out:
        for file in options.work.glob(f"{EXPORTED}*"):
            shutil.copy(file, options.out)
    source = options.out / EXPORTED
    widths = catalog.pick(catalog.precisions(), options.precision, "precision")
    config = get_qnn_qdq_config(
        source,
        Reader(),
        activation_type=QuantType.QUInt16 if widths.activations == 16 else QuantType.QUInt8,
        weight_type=QuantType.QUInt8,
    )
    config.use_external_data_format = True
    quantize(source, options.out / QUANTIZED, config)


def _samples(options: argparse.Namespace) -> Iterator[dict[str, NDArray[np.float32]]]:
    shape = (1, 3, *_size(options).axes)
    for path in sorted(options.calibration.glob("*.raw")):
        pixels = np.fromfile(path, dtype=np.float32).reshape(shape)
        yield {"pixel_values": pixels}


def _size(options: argparse.Namespace) -> PictureSize:
    size: PictureSize | None = options.size
    return size or catalog.pick(catalog.models(), options.model, "model").picture_size


def _context(options: argparse.Namespace) -> None:
    import onnxruntime
    import onnxruntime_qnn

    target = catalog.pick(catalog.targets(), options.target, "target")
    name = "QNNExecutionProvider"
    onnxruntime.register_execution_provider_library(name, onnxruntime_qnn.get_library_path())
    device = next(
        candidate for candidate in onnxruntime.get_ep_devices() if candidate.ep_name == name
    )
    session = onnxruntime.SessionOptions()
    for key, value in _context_options(options).items():
        session.add_session_config_entry(key, value)
    session.add_provider_for_devices([device], _provider_options(target, options.out))
    source = EXPORTED if options.precision == "fp16" else QUANTIZED
    onnxruntime.InferenceSession(options.work / source, sess_options=session)
    simulated = estimate.required(estimate.read_profile(options.out / PROFILE))
    estimate.save(simulated, options.out / CONTEXT)


def _context_options(options: argparse.Namespace) -> dict[str, str]:
    return {
        "ep.context_enable": "1",
        "ep.context_embed_mode": "0",
        "ep.context_file_path": str(options.out / CONTEXT),
    }


def _provider_options(target: catalog.Target, out: Path) -> dict[str, Any]:
    return {
        "backend_type": "htp",
        "soc_model": str(target.soc_model),
        "vtcm_mb": str(target.vtcm_mb),
        "htp_graph_finalization_optimization_mode": "3",
        "enable_htp_fp16_precision": "1",
        "offload_graph_io_quantization": "0",
        "profiling_level": "detailed",
        "profiling_file_path": str(out / PROFILE),
    }


if __name__ == "__main__":
    program.run(main, arguments())
