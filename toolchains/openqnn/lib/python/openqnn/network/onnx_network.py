"""An ONNX network whose weights stay on disk: read and written tensor by tensor, at any size."""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, external_data_helper, helper, numpy_helper

from openqnn.refusal import DamagedFile

# Below this many bytes a tensor stays in the `.onnx` file.
INLINE_BYTES = 1024
ALIGNMENT = 4096
# Tensors of one file that are computed or written at a time: memory holds no more.
IN_FLIGHT = 4
# Two numbers lie in a byte, the first in its lower half.
HALF_BYTES = (TensorProto.INT4, TensorProto.UINT4)


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
            DamagedFile: the file is missing or no ONNX model.
        """
        try:
            model = onnx.load(path, load_external_data=False)
        except (FileNotFoundError, DecodeError) as error:
            raise DamagedFile(
                f"{path} is no readable ONNX model: {error}.", remedy="make it again"
            ) from error
        return cls(model, path.parent)

    def array(self, name: str) -> NDArray[np.generic]:
        """Return a constant; external data are mapped, not read.

        Raises:
            DamagedFile: its file is missing or too short.
        """
        tensor = self.constants[name]
        if tensor.data_location != TensorProto.EXTERNAL:
            return numpy_helper.to_array(tensor)
        info = external_data_helper.ExternalDataInfo(tensor)
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        shape = tuple(tensor.dims)
        path, offset = self.folder / info.location, info.offset or 0
        try:
            if tensor.data_type in HALF_BYTES:
                packed = np.memmap(path, np.uint8, "r", offset, (-(-prod(shape) // 2),))
                return _unpacked(packed, dtype, shape)
            return np.memmap(path, dtype, "r", offset, shape)
        except (OSError, ValueError) as error:
            raise DamagedFile(
                f"{self.folder / info.location} does not hold {name} {list(shape)}: {error}.",
                cause="an interrupted copy, or an .onnx file without the data beside it",
                remedy="make it again",
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
    """External data of one `.onnx` file: tensors in a row, computed and written side by side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("wb")
        self._end = 0
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> DataFile:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            while self._pending and not error:
                self._pending.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._file.close()

    def store(self, name: str, array: NDArray[np.generic]) -> TensorProto:
        """Return a tensor whose bytes are in this file, or in itself where they are few."""
        return self.defer(name, array.dtype, array.shape, lambda: array)

    def defer(
        self,
        name: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        compute: Callable[[], NDArray[Any]],
    ) -> TensorProto:
        """Return a tensor of a type and shape whose values are computed when their turn comes."""
        kind = helper.np_dtype_to_tensor_dtype(dtype)
        size = -(-prod(shape) // 2) if kind in HALF_BYTES else prod(shape) * dtype.itemsize
        if size < INLINE_BYTES:
            return numpy_helper.from_array(np.asarray(compute(), order="C"), name)
        offset = -(-self._end // ALIGNMENT) * ALIGNMENT
        self._end = offset + size
        while len(self._pending) >= IN_FLIGHT:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._write, compute, offset, size))
        tensor = TensorProto(name=name, dims=shape, data_type=kind)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self.path.name), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def _write(self, compute: Callable[[], NDArray[Any]], offset: int, size: int) -> None:
        values = np.asarray(compute(), order="C")
        if helper.np_dtype_to_tensor_dtype(values.dtype) in HALF_BYTES:
            values = _packed(values)
        if values.nbytes != size:
            raise ValueError(f"A tensor of {size} bytes has {values.nbytes}.")
        left = values.reshape(-1).view(np.uint8).data
        while left:
            done = os.pwrite(self._file.fileno(), left, offset)
            left, offset = left[done:], offset + done


def _packed(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return numbers of 4 bits two a byte; an odd count ends with a half of zeros."""
    halves = values.reshape(-1).astype(np.int8).view(np.uint8) & 15
    pairs = np.append(halves, np.zeros(halves.size % 2, np.uint8)).reshape(-1, 2)
    return np.asarray(pairs[:, 0] | pairs[:, 1] << 4, np.uint8)


def _unpacked(
    packed: NDArray[np.uint8], dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Return what `_packed` was given."""
    halves = np.stack((packed & 15, packed >> 4), axis=-1).reshape(-1)[: prod(shape)]
    return halves.astype(np.int8).astype(dtype).reshape(shape)
