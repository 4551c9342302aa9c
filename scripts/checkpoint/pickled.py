"""Files that `torch.save` wrote: listed without torch, read by torch, never run.

Such a file is a zip archive: a pickle of the tensors' names, types and shapes, and their numbers
as further members. A pickle is a program. Here it may call what builds tensors and dictionaries;
anything else in it is refused by name.
"""

from __future__ import annotations

import pickle
import shlex
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scripts.checkpoint.tensors import Tensor
from scripts.errors import CheckpointError
from scripts.json_object import FETCH_AGAIN
from scripts.words import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
_CHUNK = 1 << 20
BY_HAND = (
    "import sys, torch; content = torch.load(sys.argv[1], weights_only=False, map_location='cpu'); "
    "torch.save({0}, 'tensors.pth')"
)
# What a shell does not leave alone between double quotes.
_SPECIAL = frozenset('"$`\\!')
# What saves the tensors alone, by what a file holds.
OF_OBJECT, OF_KEY = "content.state_dict()", "content[{0!r}]"
ANY_KEY = ", with the key that holds them"
_IMPORTABLE = ", where the model's own code can be imported"
# Keys under which programs save whole models.
OBJECTS = ("ema", "model", "module", "network", "teacher", "backbone")
OF_MIXTURE = "{{name: value for name, value in content.items() if torch.is_tensor(value)}}"


@dataclass(frozen=True)
class Pickled:
    """A tensor of such a file; `block` is the third of its rows that is meant, -1 for all.

    `storage` is the member of the archive, below `data/`, that its numbers are in.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    storage: str = ""
    name: str = ""
    block: int = -1

    def read(self) -> NDArray[np.float32]:
        """Return its values; torch maps the file into memory and copies this tensor alone."""
        import torch

        value = _tensors(self.file)[self.name].detach()
        value = value if self.block < 0 else value.chunk(3)[self.block]
        values: NDArray[np.float32] = value.to(torch.float32).contiguous().numpy()
        return values

    def is_blank(self) -> bool:
        """Whether its storage is zeros, which other tensors may share."""
        with _opened(self.file) as archive:
            folder = _pickle_of(self.file, archive).filename.rpartition("/")[0]
            try:
                with archive.open(f"{folder}/data/{self.storage}") as stream:
                    return not any(map(any, iter(partial(stream.read, _CHUNK), b"")))
            except _DAMAGE as error:
                raise CheckpointError(
                    f"{self.file} lacks the numbers of {self.name}, or they are damaged.",
                    cause="a cut download or copy",
                    remedy=FETCH_AGAIN,
                ) from error

    def third(self, number: int) -> Pickled:
        """Return one of its three equal blocks of rows."""
        return replace(self, shape=(self.shape[0] // 3, *self.shape[1:]), block=number)


def tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; those in dictionaries as `outer.inner`.

    Raises:
        CheckpointError: it is cut or damaged, has code in it, or is older than torch 1.6.
    """
    _require_zip(file)
    lister: _Lister | None = None
    try:
        with _opened(file) as archive, archive.open(_pickle_of(file, archive)) as stream:
            lister = _Lister(stream)
            content = lister.load()
            stream.read()  # to the end, where zipfile holds the pickle against its CRC
            if lister.called:
                raise _has_code(file, lister.called, content)
    except _DAMAGE as error:
        if lister and lister.called:
            raise _has_code(file, lister.called) from None
        where = "its zip archive" if isinstance(error, zipfile.BadZipFile) else "the pickle in it"
        raise CheckpointError(
            f"{file} is not a complete file of torch.save: {where} is cut short or damaged.",
            cause="a cut download or copy",
            remedy=FETCH_AGAIN,
        ) from error
    named = _flat(content, _is_tensor)
    return {name: replace(value, file=file, name=name) for name, value in named}


def require_sums(file: Path) -> None:
    """Hold a file against the CRC-32 of each of its members, in one pass; torch does not look.

    Raises:
        CheckpointError: names the first member that is not what was written.
    """
    with _opened(file) as archive:
        try:
            member = archive.testzip()
        except _DAMAGE as error:
            raise _is_damaged(file, str(error)) from error
    if member:
        raise _is_damaged(file, f"{member} is not what was written (its CRC-32 differs)")


def _is_damaged(file: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{file} is damaged: {why}.",
        cause="a download or a copy that went wrong, or a failing disk",
        remedy=FETCH_AGAIN,
    )


def _opened(file: Path) -> zipfile.ZipFile:
    """Return the archive; one that torch wrote without CRCs, which are all 0, is read without."""
    archive = zipfile.ZipFile(file)
    if not any(entry.CRC for entry in archive.infolist()):
        for entry in archive.infolist():
            del entry.CRC  # zipfile checks no member that has none
    return archive


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
            remedy=_by_hand(file, OF_KEY.format("model"), ANY_KEY),
        )
    return member


def _require_zip(file: Path) -> None:
    with file.open("rb") as stream:
        if stream.read(4) != ZIP:
            raise CheckpointError(
                f"{file} is a pickle of torch before 1.6.",
                remedy="load it in a current torch with weights_only=True and save it again",
            )


class _Stranger(dict[Any, Any]):
    """Stands for whatever a pickle would make with code that is not ours; it does nothing."""

    def __new__(cls, *arguments: Any, **more: Any) -> _Stranger:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Take no state."""

    def __call__(self, *arguments: Any, **more: Any) -> _Stranger:
        return self

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    append = extend = add = __setstate__


class _Lister(pickle.Unpickler):
    """Reads what tensors there are, and calls nothing of torch's or anybody's.

    `called` is the first code that the pickle would call, empty where there is none.
    """

    called = ""

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in: for what builds tensors and dictionaries, and for all else."""
        if (module, name) in _BUILDERS:
            return _BUILDERS[module, name]
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        self.called = self.called or f"{module}.{name}"
        return _Stranger

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        """Return the stored type of a tensor's numbers, and where they are."""
        return str(pid[1]), str(pid[2])


def _has_code(file: Path, called: str, content: Any = None) -> CheckpointError:
    """Return the error of a file whose pickle calls code, with what gets at its tensors."""
    expression, more = _selected(content)
    return CheckpointError(
        f"{file} has code in it: its pickle calls {called}.",
        cause="a whole training state or a whole model, not its tensors alone",
        remedy=_by_hand(file, expression, more),
    )


def _by_hand(file: Path, expression: str, more: str) -> str:
    """Return how to save what an expression takes out of a file; its keys may be anything."""
    program = BY_HAND.format(expression)
    program = shlex.quote(program) if _SPECIAL & set(program) else f'"{program}"'
    return f"if you trust it, save the tensors alone: `python -c {program} {quoted(file)}`{more}"


def _selected(content: Any) -> tuple[str, str]:
    """Return the expression that takes the tensors out of a file's content, and what it needs."""
    if isinstance(content, _Stranger):
        return OF_OBJECT, _IMPORTABLE
    if not isinstance(content, dict):
        return OF_KEY.format("model"), ANY_KEY
    if any(map(_is_tensor, content.values())):
        return OF_MIXTURE.format(), ""
    counts = {key: len([*_flat(value, _is_tensor)]) for key, value in content.items()}
    key = max(counts, key=counts.__getitem__, default="")
    if counts.get(key):
        return OF_KEY.format(key), ""
    if whole := [key for key in OBJECTS if isinstance(content.get(key), _Stranger)]:
        return f"{OF_KEY.format(whole[0])}.state_dict()", _IMPORTABLE
    return OF_KEY.format("model"), ANY_KEY


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Pickled)


def _tensor(storage: tuple[str, str], offset: int, shape: tuple[int, ...], *rest: Any) -> Pickled:
    return Pickled(Path(), storage[0], tuple(map(int, shape)), storage[1])


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

    require_sums(file)
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
