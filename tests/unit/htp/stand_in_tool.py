#!/usr/bin/env python3
"""Stands in for every command of an official SDK: notes how it was called, leaves what it would.

STAND_IN_LOG is the file to note calls in. STAND_IN_FAILS names a command that shall fail, in the
words of the real one; STAND_IN_OMITS an output that it shall forget.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = {
    "qnn-onnx-converter": "ERROR - Encountered Error: Node /attn/Erf: unsupported\nTraceback ...",
    "qnn-model-lib-generator": "RuntimeError: Failed to compile model library for target: "
    "aarch64-ubuntu-gcc9.4",
    "qnn-context-binary-generator": "[ ERROR ] Failed to finalize graph (1002)",
}
TARGET = "soc_type=QCS9100;arch=73;x=1;vtcm_size=8388608;"
EVENTS = (
    "Simulated (Accelerator exec time us)",
    "Simulated (Accelerator exec time us (lower estimate))",
    "Simulated (Accelerator exec time us (upper estimate))",
    "Simulated (Accelerator exec cycles)",
    "Input Fill",
    "Intermediate Fill",
    "Intermediate Spill",
    "Output Spill",
)
HEADER = "Msg Timestamp,Message,Time,Unit of Measurement,Timing Source,Event Level,Event Identifier"
PROFILE = "\n".join([HEADER, *(f"0,BACKEND,5,US,BACKEND,SUB-EVENT,{event}" for event in EVENTS)])
NOTED = ("QNN_SDK_ROOT", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OPENQNN_SOC_MODEL")


def main() -> int:
    tool, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    call: dict[str, Any] = {"tool": tool, "arguments": arguments, "cwd": os.getcwd()}
    call["environment"] = {name: os.environ.get(name) for name in NOTED}
    with Path(os.environ["STAND_IN_LOG"]).open("a") as log:
        log.write(json.dumps(call) + "\n")
    if os.environ.get("STAND_IN_FAILS") == tool:
        print(WORDS[tool])
        return 1
    outputs = {path: text for path, text in written(tool, arguments) if not omitted(path)}
    for path, text in outputs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def written(tool: str, arguments: list[str]) -> Iterator[tuple[Path, str]]:
    if tool == "qnn-onnx-converter":
        cpp = Path(value(arguments, "-o"))
        yield cpp, "// model"
        yield cpp.with_suffix(".bin"), "tar"
        yield cpp.with_name(f"{cpp.stem}_net.json"), description(arguments)
    if tool == "qnn-model-lib-generator":
        for target in value(arguments, "-t").split():
            yield Path(value(arguments, "-o")) / target / f"lib{value(arguments, '-l')}.so", "ELF"
    if tool == "qnn-context-binary-generator":
        folder = Path(value(arguments, "--output_dir"))
        yield folder / f"{value(arguments, '--binary_file')}.bin", TARGET
        yield folder / "qnn-profiling-data_0.log", "binary"
    if tool == "qnn-profile-viewer":
        yield Path(value(arguments, "--output")), PROFILE


def description(arguments: list[str]) -> str:
    """Like the real one: NHWC unless layout is preserved, float unless told of encodings."""
    dims = [1, 3, 16, 16] if "--preserve_io" in arguments else [1, 16, 16, 3]
    inner = 0x0408 if "--quantization_overrides" in arguments else 0x0232
    tensors = {
        "pixel_values": {"type": 0, "dims": dims, "data_type": 0x0232},
        "hidden": {"type": 3, "dims": [1, 5, 8], "data_type": inner},
        "last_hidden_state": {"type": 1, "dims": [1, 5, 8], "data_type": 0x0232},
    }
    return json.dumps({"graph": {"tensors": tensors}})


def omitted(path: Path) -> bool:
    return os.environ.get("STAND_IN_OMITS") == path.suffix


def value(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


if __name__ == "__main__":
    sys.exit(main())
