"""Rebuild what was published: from an archive alone, by the very commit that made it.

The archive names its commit, image, options and inputs. The commit is checked out beside the
artefacts and builds with its own code and its own environment; only files speak between the two
versions. What comes of it is compared with the archive file by file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import attestation, errors, source, writing
from scripts.console import Console
from scripts.errors import ArtefactError, ReproducibilityError
from scripts.package import document, package, signature
from scripts.package.package import Package
from scripts.pipeline import interruption
from scripts.pipeline.published import Published, arguments, find, read
from scripts.pipeline.request import Request
from scripts.pipeline.store import held

RESULT = "https://in-toto.io/attestation/test-result/v0.1"
# What must not reach the other version: it would change what is built.
_SETTINGS = ("QAIRT_SDK_ROOT", "DINOV3_QNN_CACHE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
# By the role of a file, in the order in which a build makes them: what a difference means.
_MEANINGS = {
    "runtime": "Qualcomm's libraries are of another SDK than the package says",
    "licence": "the licence texts are of other sources than the package says",
    "runner": "the runner was compiled otherwise: by another image, or changed afterwards",
    "model library": "the network was lowered or quantised otherwise, or its weights were changed;"
    " `invoke reproduce` tells whether this machine repeats itself",
    "context binary": "Qualcomm's compiler was given another network, or the binary was changed",
    "ONNX Runtime model": "the context binary takes or gives other tensors, or is of other weights",
    "sample": "it is not the program of the commit that the package names",
    "golden": "the simulator computed otherwise, or was given another picture",
    "report": "accuracy or time came out otherwise: of other pictures, or changed afterwards",
}
_DOCUMENTS = "what the package says of itself is not what a build of its commit says"


@dataclass(frozen=True)
class Row:
    """A file of either package: its SHA-256 in both, None where it is missing."""

    path: str
    role: str
    published: str | None
    rebuilt: str | None

    @property
    def verdict(self) -> str:
        """What comes of it, in a word or two."""
        if self.published and self.rebuilt:
            return "equal" if self.published == self.rebuilt else "differs"
        return "not rebuilt" if self.published else "not published"

    @property
    def meaning(self) -> str:
        """What it means where the two differ."""
        return _MEANINGS.get(self.role, _DOCUMENTS)


def run(
    console: Console,
    request: Request,
    archive: Path,
    places: Sequence[Path],
    signers: Sequence[Path] = (),
    *,
    fetches: bool = False,
) -> None:
    """Rebuild an archive, show how its files compare, and sign that with the request's key.

    Args:
        console: where the verdict goes.
        request: its `sdk`, `build_dir` and `sign` hold; all else the archive says.
        archive: the published package.
        places: where weights, pictures and other inputs are, or folders above.
        signers: files of allowed signers, by one of each the archive must be signed.
        fetches: whether repositories of the hub that are not of our catalog may be fetched from.

    Raises:
        UsageError: an input is in none of `places`, or no SDK is given for a build with one.
        ArtefactError: it names inputs otherwise than by their hash; see `arguments`.
        ReproducibilityError: a file differs, or the image; see `rebuilt`.
    """
    signer = attestation.required(request.sign) if request.sign else None
    with signature.verified(archive, signers) as (own, _):
        published = read(own)
    words = arguments(published, find(published, places), request.sdk, fetches=fetches)
    # Two of one archive would build in one folder.
    with held(request.build_dir / ".rebuild.lock", f"rebuild in {request.build_dir}"):
        rows = rebuilt(console, published, words, request.build_dir)
    show(console, published, rows)
    if signer:
        digest = {"sha256": published.sha256}
        content = attestation.statement(archive.name, digest, RESULT, predicate(published, rows))
        path = writing.replace(path_of(archive), attestation.envelope(content, signer))
        console.note(f"signed verdict: {path}")
    require_equal(rows)


def path_of(archive: Path) -> Path:
    """Return where the signed verdict on an archive stands: beside it."""
    return archive.with_name(archive.name + ".rebuild.intoto.jsonl")


def rebuilt(
    console: Console, published: Published, words: Sequence[str], folder: Path
) -> list[Row]:
    """Rebuild an archive below a folder, and return how the files compare, in a build's order.

    `words` are the options of `invoke build`, as `arguments` gives them.

    What was built stays there where a file differs; the next run goes on from it.

    Raises:
        ArtefactError: the commit is not in this repository.
        ReproducibilityError: the image comes to another digest.
        PipelineError: the class with which a stage of the other version ended.
    """
    work = folder / f"rebuild-{published.commit[:12]}-{published.package.manifest.name}"
    checkout = _checkout(console, published.commit, work / "source")
    build = [*words, f"--build-dir={work / 'build'}"]
    _invoke(checkout, ["calibrate", *build])
    _require_image(published, work / "build")
    _invoke(checkout, ["build", *build])
    own = package.check(_archive(work / "build", published))
    rows = compare(published.package, own)
    if not differing(rows):
        shutil.rmtree(work)
    return rows


def compare(published: Package, rebuilt: Package) -> list[Row]:
    """Return a row for each file of both packages, in the order in which a build makes them."""
    left = {entry.path: entry for entry in published.entries}
    right = {entry.path: entry for entry in rebuilt.entries}
    order = [*_MEANINGS]
    rows = []
    for path in sorted(left.keys() | right.keys()):
        sides = (left.get(path), right.get(path))
        role = next(entry.role for entry in sides if entry)
        hashes = (f"{entry.mode} {entry.sha256}" if entry else None for entry in sides)
        rows.append(Row(path, role, *hashes))
    return sorted(rows, key=lambda row: order.index(row.role) if row.role in order else len(order))


def differing(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of files that are not equal in both packages."""
    return [row for row in rows if row.verdict != "equal"]


def show(console: Console, published: Published, rows: Sequence[Row]) -> None:
    """Print the verdict as a table, and the first difference with what it means."""
    console.table(
        f"{published.name}, rebuilt by commit {published.commit[:12]}",
        [(row.verdict, row.role, row.path) for row in rows],
    )
    different = differing(rows)
    text = f"all {len(rows)} files are equal, byte for byte"
    if different:
        first = different[0]
        text = f"{len(different)} of {len(rows)} files differ, first {first.path}: {first.meaning}"
    console.note(text)
    files = {row.path: row.verdict for row in rows}
    console.result(text, equal=not different, commit=published.commit, files=files)


def predicate(published: Published, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the verdict as a predicate of in-toto's, of type `RESULT`."""
    different = {row.path for row in differing(rows)}
    algorithm, _, digest = published.image.partition(":")
    return {
        "result": "FAILED" if different else "PASSED",
        "configuration": [
            {"name": "source", "digest": {"gitCommit": published.commit}},
            {"name": "image", "digest": {algorithm: digest}},
        ],
        "passedTests": [row.path for row in rows if row.path not in different],
        "failedTests": [row.path for row in rows if row.path in different],
    }


def require_equal(rows: Sequence[Row]) -> None:
    """Refuse a package that was not rebuilt as it was published.

    Raises:
        ReproducibilityError: names the first file that differs, in a build's order.
    """
    if different := differing(rows):
        raise ReproducibilityError(
            f"{different[0].path} {different[0].verdict}.",
            cause=different[0].meaning,
            remedy="what was built here is kept below --build-dir, to look at",
        )


def _checkout(console: Console, commit: str, folder: Path) -> Path:
    """Return a checkout of a commit of this repository with the environment of its lock.

    Raises:
        ArtefactError: the commit is not in this repository.
    """
    if not source.holds(commit):
        raise ArtefactError(
            f"Commit {commit} is not in this repository.",
            cause="it is of another repository, or was not fetched",
            remedy="`git fetch --all`, or run this in a clone that has it",
        )
    if not folder.is_dir() or source.revision(folder) != {"gitCommit": commit}:
        shutil.rmtree(folder.parent, ignore_errors=True)
        console.note(f"checking out {commit[:12]}")
        source.check_out(commit, folder)
        # Its own environment is made anew where its lock is another than ours.
        (folder / ".venv").symlink_to(sys.prefix)
        (source.ROOT / ".cache").mkdir(exist_ok=True)
        (folder / ".cache").symlink_to(source.ROOT / ".cache")
    _stream(["sh", "scripts/bootstrap.sh"], folder)
    return folder


def _invoke(checkout: Path, words: Sequence[str]) -> None:
    _stream([str(checkout / ".venv/bin/invoke"), *words], checkout)


def _stream(command: Sequence[str], folder: Path) -> None:
    """Run a program of the other version, its output printed as it comes."""
    environment = {name: text for name, text in os.environ.items() if name not in _SETTINGS}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        for line in process.stdout or ():
            print(f"  {line}", end="", flush=True)
    except KeyboardInterrupt:
        interruption.passed_on(process)
        raise
    finally:
        code = process.wait()
    if code == errors.INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise errors.with_exit_code(code)(
            f"The commit's own build ended with exit code {code}; its message is above.",
            cause="what it needs is not here any more, such as a locked wheel",
            remedy="mend that and run the same command again: finished stages are kept",
        )


def _require_image(published: Published, build: Path) -> None:
    manifests = sorted(build.glob("*/manifests/calibrate-*.json"))
    content = document.load(manifests[0].read_bytes(), "manifest.json", {"image": str})["image"]
    if content != published.image:
        raise ReproducibilityError(
            f"The image comes to {content} here; the package was built in {published.image}.",
            cause="something that the commit's locks do not hold went into one of the two images",
            remedy="`invoke image.reproduce` in a checkout of the commit; nothing was compared",
        )


def _archive(build: Path, published: Published) -> Path:
    name = f"{published.package.manifest.name}.tar.gz"
    paths = list(build.glob(f"*/packages/{name}"))
    if len(paths) != 1:
        raise ReproducibilityError(f"The commit's build made no {name}.")
    return paths[0]
