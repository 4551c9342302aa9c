"""A published archive as what it was built by and from: commit, image, options and inputs.

Inputs are named by their SHA-256 alone, and looked for by it: what is found is what was used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import digests
from scripts.digests import DigestCache
from scripts.errors import ArtefactError, UsageError
from scripts.outputs import TOKENS_ALONE, Outputs
from scripts.package import document, package, provenance
from scripts.package.manifest import MANIFEST
from scripts.package.package import Package
from scripts.pipeline import facts

_DEFINITION = {"externalParameters": {}, "resolvedDependencies": [{"name": str}]}
_MANIFEST: document.Shape = {
    "source": {"digest": {}},
    "image": {"digest": str},
    "weights": {"files": [{"name": str, "sha256": str}]},
}
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OPTION = re.compile(r"[a-z][a-z_]*")
_STATEMENT: document.Shape = {"predicate": {"buildDefinition": _DEFINITION}}
# What begins so is said of a build to which no option was given.
_UNNAMED = "built-in"


@dataclass(frozen=True)
class Published:
    """An archive and what it says it was made by and from: SHA-256 of materials by their name."""

    name: str
    sha256: str
    package: Package
    commit: str
    parameters: Mapping[str, Any]
    materials: Mapping[str, str]

    @property
    def image(self) -> str:
        """The content digest of the image."""
        return str(self.package.manifest.facts["image"]["digest"])


def read(archive: Path) -> Published:
    """Read an archive through, and what it was made from.

    Raises:
        ArtefactError: it is damaged, or no commit made it.
    """
    content, documents = package.read(archive)
    known = document.load(documents[MANIFEST], MANIFEST, _MANIFEST)
    commit = str(known["source"]["digest"].get("gitCommit"))
    if not _COMMIT.fullmatch(commit):
        raise ArtefactError(
            f"{archive.name} cannot be rebuilt: it was built from edited sources.",
            cause="scripts/, toolchains/ or docker/ were not as committed: no commit names them",
            remedy="commit, build again, and publish that",
        )
    statement = document.load(documents.get(provenance.FILE, b""), provenance.FILE, _STATEMENT)
    definition = statement["predicate"]["buildDefinition"]
    materials = {
        item["name"]: item["digest"]["sha256"]
        for item in definition["resolvedDependencies"]
        if isinstance(item.get("digest"), dict) and "sha256" in item["digest"]
    }
    names = (archive.name, digests.of_file(archive))
    return Published(*names, content, commit, definition["externalParameters"], materials)


def arguments(published: Published, inputs: Mapping[str, Path], sdk: Path | None) -> list[str]:
    """Return the options of `invoke build` that a package's parameters stand for.

    Raises:
        UsageError: it was built with a mounted SDK, and none is given.
    """
    if published.parameters.get("sdk") == facts.MOUNTED and sdk is None:
        raise UsageError("The package was built with an official SDK.", remedy="give it with --sdk")
    # The archive may be a stranger's: it has no say in where a build goes and who signs it.
    parameters = {
        name: value
        for name, value in published.parameters.items()
        if _OPTION.fullmatch(name) and name not in (*facts.HOW, "sdk")
    }
    options = [f"--sdk={sdk}"] if published.parameters.get("sdk") == facts.MOUNTED else []
    for name, value in parameters.items():
        flag = name.replace("_", "-")
        if name in inputs:
            options.append(f"--{flag}={inputs[name]}")
        elif value is False:
            options.append(f"--no-{flag}")
        elif value is not True and not str(value).startswith(_UNNAMED):
            options.append(f"--{flag}={value}")
    # Built-in weights are a model's own, and named by no option.
    return [option for option in options if option != "--weights=builtin"]


def find(published: Published, places: Sequence[Path]) -> dict[str, Path]:
    """Return where each input that a user gave to the build is, found by its SHA-256.

    Raises:
        UsageError: one is in none of the places; the message has its hash.
        ArtefactError: the package names outputs that no build has.
    """
    cache = DigestCache(Path(os.devnull))
    candidates = [path for place in places for path in (place, *sorted(place.rglob("*")))]
    inputs = {}
    outputs = _outputs(published)
    if outputs.heads:
        sums = {name: published.materials.get(name, "not said") for name in outputs.heads}
        heads = {name: _by_hash(name, sums[name], candidates, cache) for name in sums}
        inputs["outputs"] = Path(str(outputs.at(heads)))
    for name, value in published.parameters.items():
        if value not in (facts.A_FOLDER, facts.A_FILE):
            continue
        if name == "weights":
            inputs[name] = _weights(published, candidates, cache)
        else:
            inputs[name] = _by_hash(
                name, published.materials.get(name, "not said"), candidates, cache
            )
    return inputs


def _outputs(published: Published) -> Outputs:
    try:
        return Outputs.parse(str(published.parameters.get("outputs", TOKENS_ALONE)))
    except ValueError as error:
        raise ArtefactError(
            f"{published.name} cannot be rebuilt: {error}.",
            cause="a later release made it, or it was changed by hand",
            remedy="rebuild it with the release that made it",
        ) from error


def _by_hash(name: str, sha256: str, candidates: Sequence[Path], cache: DigestCache) -> Path:
    for path in candidates:
        if cache.tree(path) == sha256:
            return path
    raise _missing(name, sha256)


def _weights(published: Published, candidates: Sequence[Path], cache: DigestCache) -> Path:
    """Return the folder that holds all files of the weights, or the file where it is one alone."""
    weights = published.package.manifest.facts["weights"]
    files = {file["name"]: file["sha256"] for file in weights["files"]}
    for path in candidates:
        if path.is_file() and len(files) == 1 and files.get(path.name) == cache.file(path):
            return path
        if path.is_dir() and all(
            (path / name).is_file() and cache.file(path / name) == sha256
            for name, sha256 in files.items()
        ):
            return path
    raise _missing("weights", ", ".join(f"{name} {sha256}" for name, sha256 in files.items()))


def _missing(name: str, sha256: str) -> UsageError:
    return UsageError(
        f"The {name} that the package was made from are not here: SHA-256 {sha256}.",
        cause="a package names its inputs by their hash, and does not hold them",
        remedy="--inputs FOLDER: where they are, or a folder above; separate several by commas",
    )
