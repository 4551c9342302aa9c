"""What only the host knows of a build, for the manifest and the provenance of its package.

No path, time or name of a machine is among it: the same sources and inputs give the same facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripts import digests, source
from scripts.checkpoint.hub_id import SCHEME
from scripts.image import lanes, locks
from scripts.image.image import Image
from scripts.outputs import Outputs
from scripts.package import weights
from scripts.pipeline import options
from scripts.pipeline.request import HUB, Request

A_FOLDER, A_FILE = "a folder", "a file"
EMBEDDED, MOUNTED = "openqnn", "mounted"
# What begins so is said of a build to which no pictures were given.
BUILT_IN = "built-in: "
# Options that say where a build runs, and what is done with it: nothing that comes of it differs.
HOW = ("build_dir", "memory", "jobs", "sign", "cache", "cache_write")


def gather(
    request: Request,
    image: Image,
    digest: Callable[[Path], str],
    revision: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return image, source, parameters and materials; `digest` gives the SHA-256 of a folder.

    `revision` is that of the sources where it is known already.
    """
    paths = {name: path for name, path in deciding(request).items() if isinstance(path, Path)}
    paths |= request.outputs.heads
    return {
        "image": {"digest": image.content_digest, "bom": _bill(image)},
        "source": {"digest": revision or source.revision()},
        "parameters": _parameters(request, image),
        "materials": [
            {"name": name, "digest": {"sha256": digest(path)}} for name, path in paths.items()
        ],
    }


def _bill(image: Image) -> dict[str, str]:
    """Return what names the image's bill of materials: its BOM-Link and its SHA-256."""
    bill = locks.bill(lanes.load(image.lane))
    content = json.loads(bill)
    serial = content["serialNumber"].removeprefix("urn:uuid:")
    return {"link": f"urn:cdx:{serial}/{content['version']}", "sha256": digests.of_bytes(bill)}


def _parameters(request: Request, image: Image) -> dict[str, Any]:
    """Return what was asked for; what is a path is named by its content, among the materials."""
    words = {name: _in_words(value) for name, value in deciding(request).items()}
    usual = {"images": f"{BUILT_IN}{request.model.images}", "sdk": EMBEDDED}
    parameters = {name: word for name, word in words.items() if word not in ("", None)}
    return {**usual, **parameters, "lane": image.lane}


def deciding(request: Request) -> dict[str, Any]:
    """Return the value of every option that decides what comes of a build."""
    values = {name: getattr(request, name) for name in options.of(Request) if name not in HOW}
    sdk = MOUNTED if request.sdk else None
    return {**values, "weights": _weights(request), "sdk": sdk}


def _weights(request: Request) -> str:
    """Return what the weights are: where they are from the hub, which commit of what.

    The manifest has the SHA-256 of each of their files.
    """
    path = request.weights_path
    if path is None or request.weights == "builtin":
        return request.weights
    if path.parent.parent.name == HUB and (origin := weights.origin(path)):
        return f"{SCHEME}{origin['repository']}@{origin['commit']}"
    return str(_in_words(path))


def _in_words(value: Any) -> Any:
    if isinstance(value, Path):
        return A_FOLDER if value.is_dir() else A_FILE
    if isinstance(value, Outputs):
        return str(value.at(dict.fromkeys(value.heads, Path(A_FILE))))
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value or ""
    return value if value is None else str(getattr(value, "name", value))
