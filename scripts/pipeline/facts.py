"""What only the host knows of a build, for the manifest and the provenance of its package.

No path, time or name of a machine is among it: the same sources and inputs give the same facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts import digests, source
from scripts.checkpoint.hub_id import SCHEME
from scripts.image import lanes, locks
from scripts.image.image import Image
from scripts.package import weights
from scripts.pipeline.request import HUB, Request


def gather(request: Request, image: Image, digest: Callable[[Path], str]) -> dict[str, Any]:
    """Return image, source, parameters and materials; `digest` gives the SHA-256 of a folder."""
    folders = {"images": request.images, "heldout": request.heldout}
    return {
        "image": {"digest": image.content_digest, "bom": _bill(image)},
        "source": {"digest": source.revision()},
        "parameters": _parameters(request, image),
        "materials": [
            {"name": name, "digest": {"sha256": digest(folder)}}
            for name, folder in folders.items()
            if folder
        ],
    }


def _bill(image: Image) -> dict[str, str]:
    """Return what names the image's bill of materials: its BOM-Link and its SHA-256."""
    bill = locks.bill(lanes.load(image.lane))
    content = json.loads(bill)
    serial = content["serialNumber"].removeprefix("urn:uuid:")
    return {"link": f"urn:cdx:{serial}/{content['version']}", "sha256": digests.of_bytes(bill)}


def _parameters(request: Request, image: Image) -> dict[str, Any]:
    """Return what was asked for; folders are named by what is in them, among the materials."""
    return {
        "model": request.model.name,
        "precision": request.precision.name,
        "input": request.input,
        "size": str(request.size),
        "target": request.target.name,
        "weights": _in_words(request),
        "images": "a folder" if request.images else f"built-in: {request.model.images}",
        "sdk": "mounted" if request.sdk else "openqnn",
        "lane": image.lane,
        "gate": request.gate,
    }


def _in_words(request: Request) -> str:
    """Return what the weights are: where they are from the hub, which commit of what."""
    path = request.weights_path
    if path is None or request.weights == "builtin":
        return request.weights
    if path.parent.parent.name == HUB and (origin := weights.origin(path)):
        return f"{SCHEME}{origin['repository']}@{origin['commit']}"
    return "a folder" if path.is_dir() else "a file"
