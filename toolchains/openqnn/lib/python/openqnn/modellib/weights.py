"""The .bin of a model: a tar of `<tensor>.raw` members, checked against the .cpp it goes with."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from openqnn.refusal import Refused

REFERENCE = re.compile(r"\bBINVARSTART\((\w+)\)")
DIGEST = re.compile(r"^\s*// weights: (\w+) sha256 ([0-9a-f]{64})$", re.MULTILINE)
BLOCK = 1 << 20


def referenced(cpp: Path) -> set[str]:
    """Return the names of the weights that a model's source refers to."""
    return set(REFERENCE.findall(cpp.read_text()))


def digests(cpp: Path) -> dict[str, str]:
    """Return the SHA-256 of each weight where the source states them (ours does)."""
    return dict(DIGEST.findall(cpp.read_text()))


def check(archive: Path | None, cpp: Path) -> None:
    """Refuse an archive that is damaged or holds other weights than the source refers to.

    Only the headers are read here; contents are checked while they are unpacked.
    """
    wanted = referenced(cpp)
    if archive is None:
        if wanted:
            raise Refused(f"{cpp} needs {len(wanted)} weights; give their .bin with -b.")
        return
    with _opened(archive) as tar:
        held = {_stem(archive, member) for member in tar}
    _expect_end(archive)
    if missing := sorted(wanted - held):
        raise Refused(_mismatch(archive, cpp, "lacks", missing))
    if unknown := sorted(held - wanted):
        raise Refused(_mismatch(archive, cpp, "holds, unknown to the source,", unknown))


def unpack(archive: Path, folder: Path, expected: dict[str, str]) -> None:
    """Write every member to `folder/<tensor>.raw`, checking it against `expected` digests."""
    folder.mkdir(parents=True)
    with _opened(archive) as tar:
        for member in tar:
            name = _stem(archive, member)
            found = _copy(tar, member, folder / f"{name}.raw")
            if expected.get(name, found) != found:
                raise Refused(
                    f"{archive}: the weight {name} is damaged: its SHA-256 is {found}, "
                    f"the model's source says {expected[name]}."
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
    plain = member.isreg() and path.suffix == ".raw" and re.fullmatch(r"\w+", path.stem)
    if not plain or len(path.parts) != 1:
        raise Refused(f"{archive} is not a model's weights: it holds {member.name}.")
    return path.stem


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    """Copy one member to a file and return its SHA-256."""
    source = tar.extractfile(member)
    digest = hashlib.sha256()
    with path.open("wb") as out:
        while source is not None and (block := source.read(BLOCK)):
            digest.update(block)
            out.write(block)
    if path.stat().st_size != member.size:
        raise Refused(f"{path.name} is truncated in the archive.")
    return digest.hexdigest()


def _expect_end(archive: Path) -> None:
    """Refuse an archive without the two zero blocks that end every tar."""
    with archive.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 1024))
        if size < 1024 or size % 512 or stream.read() != bytes(1024):
            raise Refused(f"{archive} is truncated: the end of the archive is missing.")


def _mismatch(archive: Path, cpp: Path, verb: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{archive} does not belong to {cpp}: it {verb} {shown}."
