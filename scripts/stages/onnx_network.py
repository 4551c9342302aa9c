"""An ONNX network whose weights stay on disk: read and written tensor by tensor, at any size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, external_data_helper, helper, numpy_helper

from scripts.errors import ArtefactError

# Below this many bytes a tensor stays in the `.onnx` file.
INLINE_BYTES = 1024
ALIGNMENT = 4096


class SharedConstants:
    """Small constants without names of their own; equal ones are one.

    ONNX Runtime and the QNN provider search all constants of a network for every tensor.
    """

    def __init__(self) -> None:
        self.tensors: list[TensorProto] = []
        self._names: dict[tuple[str, str, tuple[int, ...], bytes], str] = {}

    def name(self, values: NDArray[np.generic], prefix: str) -> str:
        """Return the name of a constant, made if there is none like it."""
        key = (prefix, values.dtype.str, values.shape, values.tobytes())
        if key not in self._names:
            self._names[key] = f"{prefix}.{len(self._names)}"
            self.tensors.append(numpy_helper.from_array(values, self._names[key]))
        return self._names[key]


class Network:
    """A loaded graph; `array` reads one of its constants."""

    def __init__(self, model: ModelProto, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}

    @classmethod
    def load(cls, path: Path) -> Network:
        """Return the network of an `.onnx` file, its external data untouched.

        Raises:
            ArtefactError: the file is missing or no ONNX model.
        """
        try:
            model = onnx.load(path, load_external_data=False)
        except (FileNotFoundError, DecodeError) as error:
            raise ArtefactError(
                f"{path} is no readable ONNX model: {error}.", remedy="run `invoke export` again"
            ) from error
        return cls(model, path.parent)

    def array(self, name: str) -> NDArray[np.generic]:
        """Return a constant; external data are mapped, not read.

        Raises:
            ArtefactError: its file is missing or too short.
        """
        tensor = self.constants[name]
        if tensor.data_location != TensorProto.EXTERNAL:
            return numpy_helper.to_array(tensor)
        info = external_data_helper.ExternalDataInfo(tensor)
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        shape = tuple(tensor.dims)
        try:
            return np.memmap(self.folder / info.location, dtype, "r", info.offset or 0, shape)
        except (OSError, ValueError) as error:
            raise ArtefactError(
                f"{self.folder / info.location} does not hold {name} {list(shape)}: {error}.",
                cause="an interrupted copy, or an .onnx file without the data beside it",
                remedy="run the stage that made it again",
            ) from error

    def add_copy(self, name: str, copy: str) -> str:
        """Add a constant under another name, sharing its bytes where they are external."""
        tensor = self.graph.initializer.add()
        tensor.CopyFrom(self.constants[name])
        tensor.name = copy
        self.constants[copy] = tensor
        return copy

    def is_float(self, name: str) -> bool:
        """Tell whether a constant is float32."""
        return name in self.constants and self.constants[name].data_type == TensorProto.FLOAT

    def consumers(self) -> dict[str, list[tuple[NodeProto, int]]]:
        """Return every tensor's uses as (node, input index), in graph order."""
        uses: dict[str, list[tuple[NodeProto, int]]] = defaultdict(list)
        for node in self.graph.node:
            for index, name in enumerate(node.input):
                uses[name].append((node, index))
        return uses

    def producers(self) -> dict[str, NodeProto]:
        """Return the node that makes each tensor."""
        return {name: node for node in self.graph.node for name in node.output}

    def shapes(self) -> dict[str, list[int]]:
        """Return the static shape of every tensor, inferred where the file does not give it."""
        graph = onnx.shape_inference.infer_shapes(self.model).graph
        known = [*graph.input, *graph.value_info, *graph.output]
        shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in known
            if value.type.tensor_type.HasField("shape")
        }
        return shapes | {name: list(tensor.dims) for name, tensor in self.constants.items()}

    def float_tensors(self) -> Iterator[str]:
        """Yield the graph input, if it is float, and every computed tensor, in graph order."""
        if self.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT:
            yield self.graph.input[0].name
        for node in self.graph.node:
            yield from (name for name in node.output if name)


class DataFile:
    """External data of one `.onnx` file, appended tensor by tensor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("wb")

    def __enter__(self) -> DataFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def store(self, name: str, array: NDArray[np.generic]) -> TensorProto:
        """Return a tensor whose bytes are in this file, or in itself where they are few."""
        array = np.asarray(array, order="C")  # ascontiguousarray would give a scalar an axis
        if array.nbytes < INLINE_BYTES:
            return numpy_helper.from_array(array, name)
        self._file.write(b"\0" * (-self._file.tell() % ALIGNMENT))
        offset = self._file.tell()
        self._file.write(array.data)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = TensorProto(name=name, dims=array.shape, data_type=kind)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", self.path.name),
            ("offset", offset),
            ("length", array.nbytes),
        ):
            tensor.external_data.add(key=key, value=str(value))
        return tensor
