"""Files that `torch.save` wrote: listed without torch, read by torch, never run.

Such a file is a zip archive: a pickle of the tensors' names, types and shapes, and their numbers
as further members. A pickle is a program. Here it may call what builds tensors and dictionaries;
anything else in it is refused by name.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.checkpoint.files import Tensor
from scripts.errors import CheckpointError
from scripts.json_object import FETCH_AGAIN

ZIP, OLD_PICKLE = b"PK\x03\x04", b"\x80"
STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
LARGEST_PICKLE = 100_000_000
BY_HAND = (
    'if you trust it, save the tensors alone: `python -c "import torch; torch.save(torch.load('
    "'{0}', weights_only=False)['model'], 'tensors.pth')\"`, with the key that holds them"
)


@dataclass(frozen=True)
class Pickled:
    """A tensor of such a file; `block` is the third of its rows that is meant, -1 for all."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    name: str = ""
    block: int = -1

    def read(self) -> NDArray[np.float32]:
        """Return its values; torch maps the file into memory and copies this tensor alone."""
        import torch

        value = _tensors(self.file)[self.name].detach()
        value = value if self.block < 0 else value.chunk(3)[self.block]
        return np.asarray(value.to(torch.float32).contiguous().numpy())

    def third(self, number: int) -> Pickled:
        """Return one of its three equal blocks of rows."""
        return replace(self, shape=(self.shape[0] // 3, *self.shape[1:]), block=number)


def tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; those in dictionaries as `outer.inner`.

    Raises:
        CheckpointError: it is cut or damaged, has code in it, or is older than torch 1.6.
    """
    _require_zip(file)
    try:
        with zipfile.ZipFile(file) as archive, archive.open(_pickle_of(file, archive)) as stream:
            content = _Lister(stream, file).load()
    except _DAMAGE as error:
        where = "its zip archive" if isinstance(error, zipfile.BadZipFile) else "the pickle in it"
        raise CheckpointError(
            f"{file} is not a complete file of torch.save: {where} is cut short or damaged.",
            cause="a cut download or copy",
            remedy=FETCH_AGAIN,
        ) from error
    found = _flat(content, lambda value: isinstance(value, Pickled))
    return {name: replace(value, file=file, name=name) for name, value in found}


_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, EOFError, NotImplementedError),
    *(KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError),
)


def _pickle_of(file: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the member that names the tensors."""
    members = (entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))
    if (member := next(members, None)) is None:
        raise CheckpointError(
            f"{file} is a zip archive, and not one of torch.save: it has no data.pkl.",
            cause="weights that were packed together with other files",
            remedy="unpack it, and give --weights what is in it",
        )
    if member.file_size > LARGEST_PICKLE:
        raise CheckpointError(
            f"{file} lists its tensors in {member.file_size} bytes; {LARGEST_PICKLE} are the most.",
            cause="a damaged file, or a whole training state",
            remedy=BY_HAND.format(file),
        )
    return member


def _require_zip(file: Path) -> None:
    with file.open("rb") as stream:
        if stream.read(4) != ZIP:
            raise CheckpointError(
                f"{file} is a pickle of torch before 1.6.",
                remedy="load it in a current torch with weights_only=True and save it again",
            )


class _Lister(pickle.Unpickler):
    """Reads what tensors there are, and calls nothing of torch's or anybody's."""

    def __init__(self, stream: Any, file: Path) -> None:
        super().__init__(stream)
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in for what builds tensors and dictionaries; refuse all else."""
        if (module, name) in _BUILDERS:
            return _BUILDERS[module, name]
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise CheckpointError(
            f"{self._file} has code in it: its pickle calls {module}.{name}.",
            cause="a whole training state or a whole model, not its tensors alone",
            remedy=BY_HAND.format(self._file),
        )

    def persistent_load(self, pid: Any) -> str:
        """Return the stored type of a tensor's numbers."""
        return str(pid[1])


def _tensor(dtype: str, offset: int, shape: tuple[int, ...], *rest: Any) -> Pickled:
    return Pickled(Path(), dtype, tuple(map(int, shape)))


def _parameter(value: Pickled, *rest: Any) -> Pickled:
    return value


_BUILDERS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


def _flat(
    content: Any, is_tensor: Callable[[Any], bool], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    if is_tensor(content):
        yield prefix, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, is_tensor, f"{prefix}.{key}" if prefix else str(key))


@lru_cache(maxsize=16)
def _tensors(file: Path) -> dict[str, Any]:
    import torch

    try:
        with TemporaryDirectory() as folder:
            # torch takes a name that ends in .safetensors for what the file is.
            link = Path(folder, "weights.pth")
            link.symlink_to(file.resolve())
            content = torch.load(link, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise CheckpointError(
            f"{file} is refused by torch: {error}.", remedy=FETCH_AGAIN
        ) from error
    return dict(_flat(content, lambda value: isinstance(value, torch.Tensor)))
