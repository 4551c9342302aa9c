"""Qualcomm's HTP compiler and simulator, reached through ONNX Runtime's QNN execution provider.

With `htp_compiler`, the one place that knows the provider. `Simulator` runs a plain serialized
context binary. Facts: QAIRT 2.51 as in onnxruntime-qnn 2.7.0.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from scripts.errors import ArtefactError

Array = NDArray[np.float32]
PROVIDER = "QNNExecutionProvider"
INPUT, OUTPUT = "pixel_values", "last_hidden_state"
# Names of files where a compile or a simulation runs.
WEIGHTS, WRAPPER, CONTEXT, TRACE = "weights", "context.onnx", "context_qnn.bin", "profile.csv"
# Clear text in a context binary: the graph's name, and the compiler's settings.
GRAPH = re.compile(rb"PICKLE/\d+/([^\0]+)\0")
TARGET = re.compile(rb"(soc_type)=(\w+);(arch)=(\d+);.{0,4096}?(vtcm_size)=(\d+);")


@dataclass(frozen=True)
class Settings:
    """What to compile for: Qualcomm's SoC number, VTCM in MB, float16 for unquantised tensors."""

    soc_model: int
    vtcm_mb: int
    fp16: bool
    optimization: int = 3

    def options(self) -> dict[str, str]:
        """Return the provider's options."""
        return {
            "soc_model": str(self.soc_model),
            "vtcm_mb": str(self.vtcm_mb),
            "enable_htp_fp16_precision": str(int(self.fp16)),
            "htp_graph_finalization_optimization_mode": str(self.optimization),
            "offload_graph_io_quantization": "0",
        }


def session_options(options: Mapping[str, str], config: Mapping[str, str]) -> Any:
    """Return session options that put every node on the HTP, or fail."""
    import onnxruntime
    import onnxruntime_qnn

    library = Path(onnxruntime_qnn.__file__).parent / "libQnnHtp.so"
    if PROVIDER not in {device.ep_name for device in onnxruntime.get_ep_devices()}:
        onnxruntime.register_execution_provider_library(
            PROVIDER, onnxruntime_qnn.get_library_path()
        )
    device = next(one for one in onnxruntime.get_ep_devices() if one.ep_name == PROVIDER)
    made = onnxruntime.SessionOptions()
    made.log_severity_level = 3
    # Threads of the runtime have no work here, and their number would vary with the machine.
    made.intra_op_num_threads = made.inter_op_num_threads = 1
    made.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in config.items():
        made.add_session_config_entry(key, value)
    made.add_provider_for_devices([device], {"backend_path": str(library), **options})
    return made


class Simulator:
    """A context binary in the HTP simulator; call it with [1,3,H,W], get [1,tokens,hidden]."""

    def __init__(
        self,
        context: Path,
        shapes: tuple[Sequence[int], Sequence[int]],
        scratch: Path,
        settings: Settings,
        trace: Path | None = None,
    ) -> None:
        """Load a context whose input and output have `shapes`; `trace` receives a profile (CSV).

        Raises:
            ArtefactError: the file is no whole context binary.
        """
        import onnxruntime

        link(scratch / CONTEXT, context)
        onnx.save(_wrapper(graph_name(context), shapes), scratch / WRAPPER)
        options = settings.options()
        if trace:
            options |= {"profiling_level": "detailed", "profiling_file_path": str(trace)}
        try:
            self._session = onnxruntime.InferenceSession(
                str(scratch / WRAPPER), sess_options=session_options(options, {})
            )
        except Exception as error:
            raise _broken(context, str(error)) from error

    def __call__(self, pixel_values: Array) -> Array:
        """Return `last_hidden_state` of one picture."""
        result: Array = self._session.run([OUTPUT], {INPUT: pixel_values})[0]
        return result


def graph_name(context: Path) -> str:
    """Return the name of the graph in a context binary.

    Raises:
        ArtefactError: there is none.
    """
    found = GRAPH.search(_content(context))
    if not found:
        raise _broken(context, "it names no graph")
    return found.group(1).decode()


def target_of(context: Path) -> dict[str, str]:
    """Return the clear-text compiler settings `soc_type`, `arch`, `vtcm_size` (bytes) of a file.

    Raises:
        ArtefactError: they are not there.
    """
    found = re.search(
        rb"(soc_type)=(\w+);(arch)=(\d+);.{0,4096}?(vtcm_size)=(\d+);", _content(context)
    )
    if not found:
        raise _broken(context, "it names no target")
    texts = [group.decode() for group in found.groups()]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _wrapper(name: str, shapes: tuple[Sequence[int], Sequence[int]]) -> onnx.ModelProto:
    node = helper.make_node(
        "EPContext",
        [INPUT],
        [OUTPUT],
        name=name,
        domain="com.microsoft",
        embed_mode=0,
        main_context=1,
        ep_cache_context=CONTEXT,
        source=PROVIDER,
        partition_name=name,
    )
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, shape)
        for end, shape in zip((INPUT, OUTPUT), shapes, strict=True)
    ]
    graph = helper.make_graph([node], "context", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _content(context: Path) -> mmap.mmap:
    if not context.is_file() or not context.stat().st_size:
        raise _broken(context, "it is missing or empty")
    with context.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def link(place: Path, target: Path) -> None:
    """Make `place` a symbolic link to a file or folder."""
    place.symlink_to(target.resolve(), target_is_directory=target.is_dir())


def _broken(context: Path, reason: str) -> ArtefactError:
    return ArtefactError(
        f"{context} is not a whole HTP context binary: {reason}.",
        cause="an interrupted copy, or a file changed after it was built",
        remedy="build it again: `invoke build`",
    )
