"""Files as `torch.save` writes them, made without torch: a zip archive with a pickle in it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Made:
    """An object that a pickle makes by calling `function`, with a state where there is one."""

    function: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


def write(file: Path, content: Any) -> Path:
    """Write dictionaries, lists, texts, whole numbers, objects and float32 arrays."""
    storages: list[bytes] = []
    program = b"\x80\x02" + _opcodes(content, storages) + b"."
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for key, data in enumerate(storages):
            archive.writestr(f"archive/data/{key}", data)
    return file


def _opcodes(value: Any, storages: list[bytes]) -> bytes:
    """Return what a stack machine of pickle's runs to make a value (`pickletools` explains)."""
    match value:
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case int():
            return b"J" + struct.pack("<i", value)
        case np.ndarray():
            return _tensor(value, storages)
        case Made():
            result = _called(value.function, _tuple(value.arguments, storages))
            return (
                result if value.state is None else result + _opcodes(value.state, storages) + b"b"
            )
        case Mapping():
            pairs = (part for pair in value.items() for part in pair)
            return b"}(" + b"".join(_opcodes(part, storages) for part in pairs) + b"u"
        case Sequence():
            return b"](" + b"".join(_opcodes(part, storages) for part in value) + b"e"
    raise TypeError(value)


def _tensor(value: NDArray[np.float32], storages: list[bytes]) -> bytes:
    key = str(len(storages))
    storages.append(value.astype("<f4").tobytes())
    names = (_opcodes("storage", storages), b"ctorch\nFloatStorage\n", _opcodes(key, storages))
    where = (_opcodes("cpu", storages), _opcodes(value.size, storages))
    storage = b"(" + b"".join((*names, *where)) + b"tQ"
    strides = [stride // value.itemsize for stride in value.strides]
    shape = [_tuple(numbers, storages) for numbers in (value.shape, strides)]
    rest = _opcodes(0, storages), *shape, b"\x89", _called("collections.OrderedDict", b"(t")
    return _called("torch._utils._rebuild_tensor_v2", b"(" + storage + b"".join(rest) + b"t")


def _tuple(values: Sequence[Any], storages: list[bytes]) -> bytes:
    return b"(" + b"".join(_opcodes(value, storages) for value in values) + b"t"


def _called(function: str, arguments: bytes) -> bytes:
    module, _, name = function.rpartition(".")
    return f"c{module}\n{name}\n".encode() + arguments + b"R"
