"""The command line of qnn-onnx-converter: what is taken, and what is refused by name."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import MappingProxyType

from openqnn.refusal import Refused

PROGRAM = "qnn-onnx-converter"
DESCRIPTION = (
    "Translate an ONNX model into a QNN model: <stem>.cpp, <stem>.bin and <stem>_net.json. "
    "Inputs and outputs keep the layout and the datatypes of the ONNX model."
)

_NO_CUT = "the whole model is translated"
_FIXED = "the model's shapes must be fixed when it is exported"
_KEPT = "inputs and outputs keep the layout and datatypes of the ONNX model"
_ENCODINGS = "choose encodings with --quantization_overrides"
_NO_PACKAGE = "only the backend's own operations are used"

# Documented options that this SDK does not have: to ignore one would build something else.
UNSUPPORTED = MappingProxyType(
    {
        "--out_node": _NO_CUT,
        "--out_name": _NO_CUT,
        "-d": _FIXED,
        "--input_dim": _FIXED,
        "-b": _FIXED,
        "--batch": _FIXED,
        "-s": _FIXED,
        "--define_symbol": _FIXED,
        "-l": _KEPT,
        "--input_layout": _KEPT,
        "--custom_io": _KEPT,
        "--dump_custom_io_config_template": _KEPT,
        "-t": _KEPT,
        "--input_type": _KEPT,
        "--input_dtype": _KEPT,
        "-e": _KEPT,
        "--input_encoding": _KEPT,
        "--float_bias_bitwidth": "it follows --float_bitwidth",
        "--float_bias_bw": "it follows --float_bitwidth",
        "--ignore_encodings": _ENCODINGS,
        "--keep_quant_nodes": "Q and DQ nodes become encodings",
        "--act_quantizer": _ENCODINGS,
        "--param_quantizer": _ENCODINGS,
        "--act_quantizer_schema": _ENCODINGS,
        "--param_quantizer_calibration": _ENCODINGS,
        "--percentile_calibration_value": "it is 99.99",
        "--param_quantizer_schema": _ENCODINGS,
        "--use_per_channel_quantization": "use --use_per_row_quantization",
        "--enable_per_row_quantized_bias": "biases are 32 bits wide",
        "--algorithms": "equalise with `invoke quantize`, then pass --quantization_overrides",
        "--disable_relu_squashing": _ENCODINGS,
        "--restrict_quantization_steps": _ENCODINGS,
        "--use_native_input_files": "calibration inputs are float32 files",
        "--use_native_output_files": "calibration inputs are float32 files",
        "--use_native_dtype": "calibration inputs are float32 files",
        "--pack_4_bit_weights": "a weight takes a byte, whatever its width",
        "--dry_run": "the translation itself says what it cannot take",
        "--debug": "the graph is written down whole in <stem>_net.json",
        "--overwrite_model_prefix": "the prefix is always QnnModel",
        "--disable_batchnorm_folding": "no such pass is run",
        "--keep_disconnected_nodes": "no such pass is run",
        "--exclude_named_tensors": "tensors keep their names",
        "--copyright_file": "no copyright is claimed for a translation",
        "-opl": _NO_PACKAGE,
        "--op_package_lib": _NO_PACKAGE,
        "-cpl": _NO_PACKAGE,
        "--converter_op_package_lib": _NO_PACKAGE,
        "-p": _NO_PACKAGE,
        "--package_name": _NO_PACKAGE,
        "-opc": _NO_PACKAGE,
        "--op_package_config": _NO_PACKAGE,
        "--arch_checker": "the backend validates every node",
    }
)
DEPRECATED = MappingProxyType(
    {
        "--float_bw": "--float_bitwidth",
        "--act_bw": "--act_bitwidth",
        "--weight_bw": "--weights_bitwidth",
        "--bias_bw": "--bias_bitwidth",
    }
)
CALIBRATIONS = ("min-max", "percentile", "mse")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options.

    Raises:
        Refused: an option is documented but not supported here, or two contradict each other.
    """
    for argument in arguments:
        name = argument.split("=")[0]
        if name in UNSUPPORTED:
            raise Refused(f"{name} is not supported by this SDK: {UNSUPPORTED[name]}.")
        if name in DEPRECATED:
            raise Refused(f"{name} is deprecated: use {DEPRECATED[name]}.")
    options = parser().parse_args(arguments)
    options.output_path = _output(options)
    _check(options)
    return options


def parser() -> argparse.ArgumentParser:
    """Return the parser of the supported options."""
    made = argparse.ArgumentParser(prog=PROGRAM, description=DESCRIPTION, allow_abbrev=False)
    add = made.add_argument
    add("-i", "--input_network", type=Path, required=True, help="the ONNX model")
    add("-o", "--output_path", type=Path, help="<stem>.cpp; default: beside the input")
    add("-n", "--no_simplification", action="store_true", help="accepted; nothing is simplified")
    add("--preserve_io", nargs="*", help="accepted; inputs and outputs are always kept")
    add("--float_bitwidth", type=int, choices=(32, 16), default=32)
    add("--quantization_overrides", type=Path, help="encodings, in AIMET's format")
    add("--float_fallback", action="store_true", help="leave what has no encoding in float")
    add("--input_list", type=Path, help="calibration inputs: quantises the model")
    add("--act_bitwidth", type=int, choices=(8, 16), default=8)
    add("--weights_bitwidth", type=int, choices=(4, 8), default=8)
    add("--bias_bitwidth", type=int, choices=(8, 32), default=8)
    add("--use_per_row_quantization", action="store_true", help="a scale for each row of a weight")
    add("--act_quantizer_calibration", choices=CALIBRATIONS, default="min-max")
    return made


def _output(options: argparse.Namespace) -> Path:
    """Return where the source goes; a path without a suffix gets `.cpp`."""
    path: Path = options.output_path or options.input_network.with_suffix(".cpp")
    if path.suffix not in ("", ".cpp"):
        raise Refused(f"--output_path must end in .cpp: {path}.")
    return path.with_suffix(".cpp")


def _check(options: argparse.Namespace) -> None:
    for path in (options.input_network, options.quantization_overrides, options.input_list):
        if path is not None and not path.is_file():
            raise Refused(f"{path} does not exist.")
    if options.input_list and options.float_fallback:
        raise Refused("--float_fallback and --input_list contradict each other.")
    if options.float_fallback and not options.quantization_overrides:
        raise Refused("--float_fallback needs --quantization_overrides.")
    if options.input_list and options.quantization_overrides:
        raise Refused(
            "--input_list and --quantization_overrides cannot be combined in this SDK: "
            "the encodings must cover every tensor that is to be quantised."
        )
    if options.input_list and options.bias_bitwidth != 32:
        raise Refused("Biases of 8 bits are not supported by this SDK: pass --bias_bitwidth 32.")
    if options.input_list and not options.use_per_row_quantization:
        raise Refused(
            "One scale for a whole weight is not supported by this SDK: "
            "pass --use_per_row_quantization."
        )
