"""Results of stages by key and their files by SHA-256: what the folders of builds are links out of.

`build/.store/ac/<key>` is a stage's manifest, `build/.store/cas/<aa>/<sha256>` a file. A file is
kept as a hard link to the one in a build's folder, so it takes no room of its own, and as a copy
where the file system has no hard links. Networks' external data are copies everywhere: `onnx.load`
refuses a data file that has a second name. Who writes into a file through a link changes both: what
is kept counts only while its content has the digest that is its name.

Every write is atomic and nothing relies on a file to stay: whatever is missing or damaged here is
a result that is not known, and the stage runs.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scripts import artefacts, writing
from scripts.digests import DigestCache

NAME = ".store"
# In each folder of files, held by who downloads one.
LOCK = ".lock"
Manifest = dict[str, Any]
_UNLINKED = ".onnx_data"
# How a file system says that it has no hard links, not between these folders, or no more of them.
_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class ContentStore:
    """The folder `build/.store`; `digests` knows files that were hashed before."""

    def __init__(self, root: Path, digests: DigestCache) -> None:
        self.root = root
        self.has_links = True
        self._digests = digests

    def result(self, key: str) -> Manifest | None:
        """Return the manifest of the run that had this key, or None."""
        return manifest_at(self.result_path(key))

    def result_path(self, key: str) -> Path:
        """Return where the manifest of a key is, or will be."""
        return self.root / "ac" / key

    def blob(self, sha256: str) -> Path:
        """Return where the file of a digest is, or will be."""
        return self.root / "cas" / sha256[:2] / sha256

    def keep(self, manifest: Manifest, folder: Path) -> None:
        """Keep a stage's outputs, which lie in a folder, and then its manifest."""
        for name, output in manifest["outputs"].items():
            self._put(folder / name, output["sha256"])
        self.record(manifest)

    def accept(self, sha256: str) -> None:
        """Take a file that came into its place here and was hashed on its way."""
        self._digests.know(self.blob(sha256), sha256)

    def record(self, manifest: Manifest) -> None:
        """Keep a manifest whose files are kept."""
        self.result_path(manifest["key"]).parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(manifest, indent=1, sort_keys=True)
        writing.replace(self.result_path(manifest["key"]), text.encode())

    def bring(self, manifest: Manifest, folder: Path) -> bool:
        """Put a result's files into an empty folder; False where one is gone or damaged.

        What is damaged is removed from the store.
        """
        outputs = manifest["outputs"]
        for name, output in outputs.items():
            if not self._take(output, folder / name):
                return False
        with suppress(FileNotFoundError):  # when it was last of use
            os.utime(self.result_path(manifest["key"]))
        # All of them are there before the first is read: a young file has to wait.
        return all(self._is_right(folder / name, outputs[name]["sha256"]) for name in outputs)

    def _put(self, path: Path, sha256: str) -> None:
        blob = self.blob(sha256)
        if blob.is_file() and blob.samefile(path):
            return
        blob.parent.mkdir(parents=True, exist_ok=True)
        # The new file is known to be whole; that of an earlier run may have been written to.
        with _beside(blob) as partial:
            self._digests.carry(path, blob, lambda: self._put_whole(path, partial, blob))

    def _put_whole(self, path: Path, partial: Path, blob: Path) -> None:
        if self._link(path, partial):
            partial.replace(blob)
        elif not self._is_whole(blob):
            shutil.copy2(path, partial)
            partial.replace(blob)

    def _take(self, output: Mapping[str, Any], path: Path) -> bool:
        blob, mode = self.blob(output["sha256"]), int(output["mode"], 8)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # A mode belongs to the file, not to the link.
            may_link = blob.stat().st_mode & 0o7777 == mode
            self._digests.carry(blob, path, lambda: self._show(blob, path, may_link, mode))
        except FileNotFoundError:
            return False
        return True

    def _show(self, blob: Path, path: Path, may_link: bool, mode: int) -> None:
        if not (may_link and self._link(blob, path)):
            shutil.copyfile(blob, path)
            path.chmod(mode)

    def _is_right(self, path: Path, sha256: str) -> bool:
        is_right = self._digests.file(path) == sha256
        if not is_right:
            self.blob(sha256).unlink(missing_ok=True)
        return is_right

    def _is_whole(self, blob: Path) -> bool:
        return blob.is_file() and self._digests.file(blob) == blob.name

    def _link(self, path: Path, link: Path) -> bool:
        """Make a hard link; False where the file system has none, or no more for this file."""
        if not self.has_links or _UNLINKED in (path.suffix, link.suffix):
            return False
        try:
            os.link(path, link)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self.has_links = False
        return self.has_links


def manifest_at(path: Path) -> Manifest | None:
    """Return the manifest in a file; None where it is missing, damaged, or of an unfinished run."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and "outputs" in document else None


def differing(first: Manifest, second: Manifest) -> list[str]:
    """Return the files of two results of one key that are not the same, or in one only.

    Features of float32 are left out: processors disagree in their last digits.
    """
    sides = [
        {name: output["sha256"] for name, output in manifest["outputs"].items()}
        for manifest in (first, second)
    ]
    names = sorted(sides[0].keys() | sides[1].keys())
    return [
        name
        for name in names
        if sides[0].get(name) != sides[1].get(name) and not artefacts.is_features(name)
    ]


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a name that no file has, and leave none of it."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)
