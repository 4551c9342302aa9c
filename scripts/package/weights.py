"""Which weights are inside a package, and the licence that comes with them."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from scripts import catalog, digests, json_object
from scripts.catalog import Model
from scripts.errors import ArtefactError, CheckpointError
from scripts.package.item import Item
from scripts.package.licences import texts

SYNTHETIC = "synthetic"
META = "DINOv3 License, see licences/dinov3"
OURS = "Apache-2.0"
BUILTIN, GIVEN = "builtin", "given"
GIVEN_LICENCE = "the texts given with the weights, see licences/dinov3"
UNKNOWN_LICENCE = "not known: the weights were given without a text"
_FACTS: dict[str, Any] = {"sha256": SYNTHETIC, "files": []}

# What holds weights, what says which network they are of, and how pictures come to it.
KINDS = (
    *("*.safetensors", "*.pth", "*.pt", "*.bin", "*.index.json"),
    *("config.json", "preprocessor_config.json"),
)


def facts(model: Model, place: str) -> dict[str, Any]:
    """Return what is known of the weights: source, licence, SHA-256 of each file.

    `place` is a directory or `random[:SEED]`. The source is `random[:SEED]`, `builtin`, or a
    repository of the hub with its `commit` where `invoke fetch` noted both and the files are still
    those. Else it is `place`: a directory may hold anything.

    Raises:
        CheckpointError: the directory holds no weights.
    """
    if place.partition(":")[0] == "random":
        return {**_FACTS, "source": place, "licence": "none: random numbers", "synthetic": True}
    folder = Path(place)
    hashes = _hashes(folder)
    if not hashes:
        raise CheckpointError(f"{folder} holds no weights.", remedy="give the checkpoint's folder")
    files = [{"name": name, "sha256": digest} for name, digest in hashes.items()]
    known = {"sha256": digests.of_listing(hashes.items()), "files": files, "synthetic": False}
    return {**_FACTS, **known, **_source(model, folder, hashes)}


def licences(model: Model, place: str) -> list[Item]:
    """Return the licence texts that must go with weights that are not of this project.

    Raises:
        ArtefactError: the model is one of Meta's, and the folder holds no licence text.
    """
    if place.partition(":")[0] == "random":
        return []
    items = [Item(f"licences/dinov3/{text.name}", text, "licence") for text in texts(Path(place))]
    if not items and _is_metas(model):
        raise ArtefactError(
            f"{place} holds no LICENSE, and the DINOv3 License asks for a copy with all that is"
            " derived from the weights.",
            cause="the weights were copied without the rest of their repository",
            remedy="put LICENSE.md from the model's page on the hub beside model.safetensors",
        )
    return items


def _source(model: Model, folder: Path, hashes: Mapping[str, str]) -> dict[str, str]:
    noted = origin(folder)
    if noted and hashes == _deciding(noted["files"]):
        return {"source": noted["repository"], "commit": noted["commit"], "licence": META}
    if not _is_metas(model) and hashes == _hashes(Path(catalog.__file__).parent / model.name):
        return {"source": BUILTIN, "licence": OURS}
    texts_there = any(texts(folder))
    return {"source": GIVEN, "licence": GIVEN_LICENCE if texts_there else UNKNOWN_LICENCE}


def origin(folder: Path) -> dict[str, Any] | None:
    """Return what `fetch` noted of a checkpoint, where it noted all of it."""
    try:
        noted = json_object.parse((folder / "origin.json").read_bytes())
        texts = isinstance(noted["repository"], str) and isinstance(noted["commit"], str)
        return dict(noted) if texts and isinstance(noted["files"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _deciding(files: Mapping[str, str]) -> dict[str, str]:
    return {
        name: digest
        for name, digest in files.items()
        if any(fnmatchcase(name, kind) for kind in KINDS)
    }


def _hashes(folder: Path) -> dict[str, str]:
    paths = [path for kind in KINDS for path in sorted(folder.glob(kind))]
    return {path.name: digests.of_file(path) for path in paths}


def _is_metas(model: Model) -> bool:
    return model.weights != "builtin"
