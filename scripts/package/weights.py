"""Which weights are inside a package, and the licence that comes with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts import digests
from scripts.catalog import Model
from scripts.errors import ArtefactError, CheckpointError
from scripts.package.item import Item
from scripts.package.runtime import texts

SYNTHETIC = "synthetic"
META = "DINOv3 License, see licences/dinov3"
OURS = "Apache-2.0"


def facts(model: Model, given: str) -> dict[str, Any]:
    """Return source, licence and SHA-256 of the weights; `given` is a directory or `random[:SEED]`.

    Raises:
        CheckpointError: the directory holds no weights.
    """
    if given.partition(":")[0] == "random":
        return _facts(given, SYNTHETIC, "none: random numbers", [])
    folder = Path(given)
    found = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("config.json"))
    if not found:
        raise CheckpointError(f"{folder} holds no weights.", remedy="give the checkpoint's folder")
    files = [{"name": file.name, "sha256": digests.of_file(file)} for file in found]
    digest = digests.of_listing((file["name"], file["sha256"]) for file in files)
    return _facts(model.weights, digest, META if _is_metas(model) else OURS, files)


def licences(model: Model, given: str) -> list[Item]:
    """Return the licence texts that must go with weights derived from Meta's.

    Raises:
        ArtefactError: the weights are Meta's and their folder holds no licence text.
    """
    if given.partition(":")[0] == "random" or not _is_metas(model):
        return []
    items = [Item(f"licences/dinov3/{text.name}", text, "licence") for text in texts(Path(given))]
    if not items:
        raise ArtefactError(
            f"{given} holds no LICENSE, and the DINOv3 License asks for a copy with all that is"
            " derived from the weights.",
            cause="the weights were copied without the rest of their repository",
            remedy="put LICENSE.md from the model's page on the hub beside model.safetensors",
        )
    return items


def _facts(source: str, digest: str, licence: str, files: list[dict[str, str]]) -> dict[str, Any]:
    synthetic = digest == SYNTHETIC
    made = {"source": source, "sha256": digest, "licence": licence, "files": files}
    return {**made, "synthetic": synthetic}


def _is_metas(model: Model) -> bool:
    return model.weights != "builtin"
