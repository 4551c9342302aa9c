"""The content of an image: every path, mode, owner, link target and byte, and how it is started.

Times are left out, and the few paths that an engine makes itself: two engines differ in them.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any

from scripts import digests

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK = 1 << 20
_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "character",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}
_ENGINES_OWN = ("etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", ".dockerenv")
_ENGINES_FOLDERS = ("dev", "proc", "sys")

# What of an image's configuration changes what runs in it, as engines name it.
_CONFIGURATION = (
    *("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "OnBuild", "Shell"),
    *("StopSignal", "User", "Volumes", "WorkingDir"),
)
_LABELS = "dinov3-qnn."

Listing = Mapping[str, str]


def listing(stream: IO[bytes]) -> Listing:
    """Read an exported root file system (a tar) and return a description of each path in it."""
    found: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            path = member.name.removeprefix("./").strip("/")
            if _is_ours(path):
                found[path] = _description(archive, member, found)
    return found


def configuration(config: Mapping[str, Any], told: Iterable[str]) -> Listing:
    """Return how an image is started, and its labels of ours, as a listing beside that of files.

    Args:
        config: the image's configuration, as an engine has it.
        told: labels that say what an image is, and so cannot be part of what it is.
    """
    values = {key: config.get(key) for key in _CONFIGURATION}
    labels = config.get("Labels") or {}
    ours = (key for key in labels if key.startswith(_LABELS) and key not in told)
    values |= {f"label {key}": labels[key] for key in ours}
    # An engine says "nothing" in several ways, another in none.
    return {f"(configuration) {k}": json.dumps(v, sort_keys=True) for k, v in values.items() if v}


def stream(chunks: Iterable[bytes]) -> IO[bytes]:
    """Return the chunks that an engine sends as one readable file."""
    return io.BufferedReader(_Chunks(chunks), _CHUNK)


def digest(listing_: Listing) -> str:
    """Return the digest of a listing, as `sha256:...`."""
    return f"sha256:{digests.of_listing(listing_.items())}"


def differences(first: Listing, second: Listing, limit: int = 10) -> list[str]:
    """Return, in words, the first paths in which two listings differ."""
    return [
        f"{path}: {first.get(path, 'absent')} | {second.get(path, 'absent')}"
        for path in sorted(first.keys() | second.keys())
        if first.get(path) != second.get(path)
    ][:limit]


class _Chunks(io.RawIOBase):
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        while not self._rest and (chunk := next(self._chunks, None)) is not None:
            self._rest = memoryview(chunk)
        space = memoryview(buffer)
        count = min(len(space), len(self._rest))
        space[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _is_ours(path: str) -> bool:
    return path not in _ENGINES_OWN and path.split("/", 1)[0] not in ("", *_ENGINES_FOLDERS)


def _description(
    archive: tarfile.TarFile, member: tarfile.TarInfo, found: Mapping[str, str]
) -> str:
    if member.islnk():
        # Which of its names a file goes by first is chance: each is described as the file.
        return found[member.linkname.removeprefix("./").strip("/")]
    # Some engines repeat the kind in the upper bits of the mode.
    parts = [_KINDS.get(member.type, str(member.type)), f"{member.mode & 0o7777:04o}"]
    parts += [f"{member.uid}:{member.gid}"]
    parts += [f"{key}={value!r}" for key, value in sorted(_attributes(member).items())]
    if member.issym():
        parts.append(f"-> {member.linkname}")
    if member.ischr() or member.isblk():
        parts.append(f"{member.devmajor},{member.devminor}")
    if member.isfile():
        parts.append(_sha256(archive, member))
    return " ".join(parts)


def _attributes(member: tarfile.TarInfo) -> dict[str, str]:
    headers = member.pax_headers
    return {key: value for key, value in headers.items() if key.startswith("SCHILY.xattr.")}


def _sha256(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    sha256 = hashlib.sha256()
    file = archive.extractfile(member)
    while file and (chunk := file.read(_CHUNK)):
        sha256.update(chunk)
    return sha256.hexdigest()
