"""A published archive as what it was built by and from: commit, image, options and inputs.

Inputs are named by their SHA-256 alone, and looked for by it: what is found is what was used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from scripts import catalog, digests
from scripts.checkpoint.hub_id import SCHEME, HubId
from scripts.digests import DigestCache
from scripts.errors import ArtefactError, UsageError
from scripts.outputs import TOKENS_ALONE, Outputs
from scripts.package import document, package, provenance
from scripts.package.manifest import MANIFEST
from scripts.package.package import Package
from scripts.pipeline import facts, options
from scripts.pipeline.option_values import RANDOM
from scripts.pipeline.request import Request

_DEFINITION = {"externalParameters": {}, "resolvedDependencies": [{"name": str}]}
_MANIFEST: document.Shape = {
    "source": {"digest": {}},
    "image": {"digest": str},
    "weights": {"files": [{"name": str, "sha256": str}]},
}
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What options that take no file have: names, numbers, sizes and lists of outputs.
_VALUE = re.compile(r"[\w.,=+-]+", re.ASCII)
# Characters of a value that a refusal repeats.
_SHOWN = 200
_STATEMENT: document.Shape = {"predicate": {"buildDefinition": _DEFINITION}}


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


def arguments(
    published: Published, inputs: Mapping[str, Path], sdk: Path | None, *, fetches: bool = False
) -> list[str]:
    """Return the options of `invoke build` that a package's parameters stand for.

    The archive may be a stranger's: it has no say in what is read from this machine, where a build
    goes, who signs it, and, unless `fetches`, what comes from the hub besides our models.

    Raises:
        UsageError: it was built with a mounted SDK, and none is given.
        ArtefactError: it names what no build records, or what may not be had on its word alone.
    """
    words = [
        f"--{_flag(name)}={inputs[name]}" if name in inputs else _word(published, name, fetches)
        for name in published.parameters
    ]
    if published.parameters.get("sdk") == facts.MOUNTED:
        if sdk is None:
            raise UsageError(
                "The package was built with an official SDK.", remedy="give it with --sdk"
            )
        words.append(f"--sdk={sdk}")
    return [word for word in words if word]


def _word(published: Published, name: str, fetches: bool) -> str:
    """Return the option that a parameter stands for, nothing where it is the default.

    Raises:
        ArtefactError: it stands for none, or for what this machine does not give on its word.
    """
    value, known = published.parameters[name], options.of(Request).get(name)
    if name == "sdk" and value in (facts.EMBEDDED, facts.MOUNTED):
        return ""
    if known is None or name in (*facts.HOW, "sdk"):
        raise _refused(published, name)
    if isinstance(known.default, bool) != isinstance(value, bool):
        raise _refused(published, name)
    if isinstance(value, bool):
        return "" if value else f"--no-{_flag(name)}"
    if name == "weights":
        return _weights_word(published, fetches)
    if name in _paths():
        if str(value).startswith(facts.BUILT_IN):
            return ""
        raise _refused(published, name)
    if not _VALUE.fullmatch(str(value)):
        raise _refused(published, name)
    return f"--{_flag(name)}={value}"


def _weights_word(published: Published, fetches: bool) -> str:
    text = str(published.parameters["weights"])
    if text == "builtin":  # a model's own, and named by no option
        return ""
    hub_id = HubId.parse(text) if text.startswith(SCHEME) else None
    if hub_id and _COMMIT.fullmatch(hub_id.revision):
        ours = {model.weights for model in catalog.models().values()}
        if not (fetches or hub_id.repository in ours):
            raise ArtefactError(
                f"{published.name} is not rebuilt: its weights are {hub_id}, a repository that is"
                " not of our catalog.",
                remedy="--fetch, if its owner may be asked for them",
            )
    elif not RANDOM.fullmatch(text):
        raise _refused(published, "weights")
    return f"--weights={text}"


def _refused(published: Published, name: str) -> ArtefactError:
    shown = str(published.parameters[name])[:_SHOWN]
    return ArtefactError(
        f"{published.name} cannot be rebuilt: its {name} is {shown!r}, which no build records.",
        cause="it was changed by hand, or another release made it: a package names its inputs by"
        " their hash alone, and has no say in paths, keys and addresses",
        remedy="ask who made it, and hold it against --signers; one of another release is rebuilt"
        f" in a checkout of its commit, {published.commit}",
    )


def _flag(name: str) -> str:
    return name.replace("_", "-")


@cache
def _paths() -> frozenset[str]:
    """Return the options that take a file or a folder: it is looked for by its hash."""
    kinds = get_type_hints(Request)
    return frozenset({"weights"} | {name for name in kinds if Path in get_args(kinds[name])})


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
        if name not in _paths() or value not in (facts.A_FOLDER, facts.A_FILE):
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
