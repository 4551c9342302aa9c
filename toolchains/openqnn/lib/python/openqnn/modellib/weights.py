"""The .bin of a model: a tar of `<tensor>.raw` members, checked against the .cpp it goes with."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path, PurePosixPath

from openqnn.refusal import Refused

REFERENCE = re.compile(r"\bBINVARSTART\((\w+)\)")
DIGEST = re.compile(r"\bBINVARSTART\((\w+)\).*// sha256 ([0-9a-f]{64})$", re.MULTILINE)
BLOCK = 1 << 20
GROUP = 32 << 20
"""Bytes that are assembled at once: what the assembler and the linker hold in memory."""

WEIGHT = """\
  .balign 64
  .globl _binary_obj_binary_{name}_raw_start, _binary_obj_binary_{name}_raw_end
_binary_obj_binary_{name}_raw_start:
{bytes}\
_binary_obj_binary_{name}_raw_end:
"""
BYTES = '  .incbin "{path}", {offset}, {size}\n'
SECTION = '  .section WEIGHTS,"a",%progbits\n'
STACK = '  .section .note.GNU-stack,"",%progbits\n'


@dataclass(frozen=True)
class Weight:
    """A member of the archive: its name without `.raw`, and where its bytes lie."""

    name: str
    offset: int
    size: int


def checked(archive: Path | None, cpp: Path) -> list[Weight]:
    """Return the weights of a model, in the order of the archive.

    Raises:
        Refused: the archive is damaged or holds other weights than the source refers to.
    """
    source = cpp.read_text()
    wanted = set(REFERENCE.findall(source))
    if archive is None:
        if wanted:
            raise Refused(f"{cpp} needs {len(wanted)} weights; give their .bin with -b.")
        return []
    found = _members(archive)
    held = {weight.name for weight in found}
    if missing := sorted(wanted - held):
        raise Refused(_mismatch(archive, cpp, "lacks", missing))
    if unknown := sorted(held - wanted):
        raise Refused(_mismatch(archive, cpp, "holds, unknown to the source,", unknown))
    _compare(archive, found, dict(DIGEST.findall(source)))
    return found


def assembly(path: Path, weights: Sequence[Weight]) -> Iterator[str]:
    """Yield sources that take weights out of the archive at `path`, some weights each."""
    group, size = "", 0
    for weight in weights:
        if group and size + weight.size > GROUP:
            yield SECTION + group + STACK
            group, size = "", 0
        # A length of 0 would mean all there is.
        found = BYTES.format(path=path, **vars(weight)) if weight.size else ""
        group += WEIGHT.format(name=weight.name, bytes=found)
        size += weight.size
    if group:
        yield SECTION + group + STACK


def _members(archive: Path) -> list[Weight]:
    with _opened(archive) as tar:
        found = [Weight(_stem(archive, one), one.offset_data, one.size) for one in tar]
    _expect_end(archive, max((weight.offset + weight.size for weight in found), default=0))
    return found


def _compare(archive: Path, weights: Sequence[Weight], expected: dict[str, str]) -> None:
    """Refuse weights that differ from the digests that the source states (ours does)."""
    with archive.open("rb", buffering=0) as stream:
        for weight in weights:
            found = _digest(stream, weight)
            if expected.get(weight.name, found) != found:
                raise Refused(
                    f"{archive}: the weight {weight.name} is damaged: its SHA-256 is {found}, "
                    f"the model's source says {expected[weight.name]}."
                )


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"{archive} is truncated or not a tar archive: {error}.") from error


def _stem(archive: Path, member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    plain = (
        member.isreg()
        and not member.issparse()
        and path.suffix == ".raw"
        and re.fullmatch(r"\w+", path.stem)
    )
    if not plain or len(path.parts) != 1:
        raise Refused(f"{archive} is not a model's weights: it holds {member.name}.")
    return path.stem


def _digest(stream: RawIOBase, weight: Weight) -> str:
    digest, left = hashlib.sha256(), weight.size
    stream.seek(weight.offset)
    while left and (block := stream.read(min(left, BLOCK))):
        digest.update(block)
        left -= len(block)
    if left:
        raise Refused(f"{weight.name}.raw is truncated in the archive.")
    return digest.hexdigest()


def _expect_end(archive: Path, end: int) -> None:
    """Refuse an archive without the two zero blocks that end every tar, or with more behind `end`.

    Behind the bytes of the last weight there are zeros only: to a whole block, and then at least
    two blocks. Python's tarfile takes a damaged header for the end.
    """
    with archive.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(end)
        while block := stream.read(BLOCK):
            if block.strip(b"\0"):
                raise Refused(f"{archive} is damaged: a header in it is no tar header.")
        if size % 512 or size - (end + -end % 512) < 1024:
            raise Refused(f"{archive} is truncated: the end of the archive is missing.")


def _mismatch(archive: Path, cpp: Path, verb: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{archive} does not belong to {cpp}: it {verb} {shown}."
