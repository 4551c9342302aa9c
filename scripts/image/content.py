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
from scripts.errors import ImageBuildError

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The form of a listing: an image whose label was computed in another is to be labelled anew.
FORM = 2
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
# No path of a listing begins with a slash.
_OF_CONFIGURATION = "/(configuration)"

Listing = Mapping[str, str]


def listing(stream: IO[bytes]) -> Listing:
    """Read an exported root file system (a tar) and return a description of each path in it.

    Raises:
        ImageBuildError: a hard link is to what is not listed.
    """
    descriptions: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            path = _path(member.name)
            if _is_ours(path):
                descriptions[path] = _description(archive, member, descriptions)
    return descriptions


def configuration(config: Mapping[str, Any], descriptive: Iterable[str]) -> Listing:
    """Return how an image is started, and its labels of ours, as a listing beside that of files.

    Args:
        config: the image's configuration, as an engine has it.
        descriptive: labels that say what an image is, and so cannot be part of what it is.
    """
    values = {key: config.get(key) for key in _CONFIGURATION}
    labels = config.get("Labels") or {}
    ours = (key for key in labels if key.startswith(_LABELS) and key not in descriptive)
    values |= {f"label {key}": labels[key] for key in ours}
    # An engine says "nothing" in several ways, another in none.
    return {
        f"{_OF_CONFIGURATION} {key}": json.dumps(value, sort_keys=True)
        for key, value in values.items()
        if value
    }


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


def _path(name: str) -> str:
    return name.removeprefix("./").strip("/")


def _description(archive: tarfile.TarFile, member: tarfile.TarInfo, descriptions: Listing) -> str:
    """Return a path's properties as a list in JSON: no name or target can look like another."""
    if member.islnk():
        return _of_hard_link(member, descriptions)
    # Some engines repeat the kind in the upper bits of the mode.
    mode, owner = f"{member.mode & 0o7777:04o}", f"{member.uid}:{member.gid}"
    parts: list[Any] = [_KINDS.get(member.type, str(member.type)), mode, owner]
    parts += sorted(_attributes(member).items())
    if member.issym():
        parts.append(member.linkname)
    if member.ischr() or member.isblk():
        parts.append(f"{member.devmajor},{member.devminor}")
    if member.isfile():
        parts.append(_sha256(archive, member))
    return json.dumps(parts)


def _of_hard_link(member: tarfile.TarInfo, descriptions: Listing) -> str:
    """Return the description of the file: which of its names comes first is chance.

    Raises:
        ImageBuildError: the file is not listed.
    """
    file = _path(member.linkname)
    if file not in descriptions:
        raise ImageBuildError(
            f"{_path(member.name)!r} in the image is a hard link to {file!r}, which is not looked"
            " at.",
            cause="the image was made or changed by something else than our build",
            remedy="`invoke image.build` makes it here",
        )
    return descriptions[file]


def _attributes(member: tarfile.TarInfo) -> dict[str, str]:
    headers = member.pax_headers
    return {key: value for key, value in headers.items() if key.startswith("SCHILY.xattr.")}


def _sha256(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    sha256 = hashlib.sha256()
    file = archive.extractfile(member)
    while file and (chunk := file.read(_CHUNK)):
        sha256.update(chunk)
    return sha256.hexdigest()
