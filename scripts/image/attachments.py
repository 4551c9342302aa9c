"""Documents beside an image in its registry, under tags that follow from the image's digest.

`sha256-<digest>.sbom` and `sha256-<digest>.att` are cosign's names. They need nothing of a registry
that one from before OCI 1.1 and its referrers does not have.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from oras import oci
from oras.client import OrasClient
from oras.defaults import annotation_title

from docker import auth
from scripts import digests, json_object
from scripts.attestation import MEDIA_TYPE, PROVENANCE
from scripts.errors import ImageBuildError
from scripts.loopback import is_loopback

_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = {"mediaType": str, "digest": str, "size": int}
_SECONDS = 30
# What the engine calls by a short name answers under another.
_HUB = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True)
class Document:
    """A document to put beside an image: `kind` ends its tag, `name` is its file's.

    One that is `appended` stands beside those that are under its tag already, as cosign has it.
    """

    kind: str
    name: str
    media_type: str
    content: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)
    appended: bool = False


def sbom(content: bytes) -> Document:
    """Return a bill of materials as a document of an image."""
    return Document("sbom", "image.cdx.json", "application/vnd.cyclonedx+json", content)


def provenance(envelope: bytes) -> Document:
    """Return signed provenance as a document of an image, labelled as cosign looks for it."""
    annotations = {"dev.cosignproject.cosign/signature": "", "predicateType": PROVENANCE}
    return Document("att", "image.intoto.jsonl", MEDIA_TYPE, envelope, annotations, appended=True)


def attach(pulled_by: str, document: Document) -> str:
    """Push a document beside the image `NAME@sha256:...`, with the engine's own credentials.

    Returns:
        The reference of the document.

    Raises:
        ImageBuildError: the registry refuses it.
    """
    repository, _, digest = pulled_by.partition("@")
    tag = f"{digest.replace(':', '-')}.{document.kind}"
    registry, name = auth.resolve_repository_name(repository)
    try:
        client = _client(registry)
        _push(client, f"{_HUB.get(registry, registry)}/{name}:{tag}", document)
    except (requests.RequestException, ValueError) as error:
        raise ImageBuildError(
            f"{pulled_by} is pushed, but not its {document.kind}: {error}",
            cause="no right to write there, or certificates that only the engine knows: it is read"
            " by requests, which takes them from REQUESTS_CA_BUNDLE",
            remedy="mend that and push again: what is there already is not sent twice",
        ) from error
    return f"{repository}:{tag}"


def _push(client: OrasClient, target: str, document: Document) -> None:
    container = client.get_container(target)
    annotations = {annotation_title: document.name, **document.annotations}
    uploaded = _upload(client, container, document.media_type, document.content)
    present = _layers(client, container) if document.appended else []
    others = [layer for layer in present if layer["digest"] != uploaded["digest"]]
    layers = [*others, {**uploaded, "annotations": annotations}]
    diff_ids = [layer["digest"] for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = {"architecture": "", "os": "", "rootfs": rootfs}
    manifest = oci.NewManifest()
    manifest["layers"] = layers
    manifest["config"] = _upload(client, container, _CONFIG, json.dumps(config).encode())
    client._check_200_response(client.upload_manifest(manifest, container))


def _layers(client: OrasClient, container: Any) -> list[dict[str, Any]]:
    """Return the layers under a tag, none where there is no such tag.

    Raises:
        ValueError: the registry refuses to say, or something else is under the tag.
    """
    place = f"{client.prefix}://{container.manifest_url()}"
    answer = client.do_request(place, "GET", headers={"Accept": _MANIFEST})
    if answer.status_code == requests.codes.not_found:
        return []
    client._check_200_response(answer)
    manifest = json_object.parse(answer.content)
    layers = manifest.get("layers") if isinstance(manifest, dict) else None
    if not isinstance(layers, list) or not all(map(_is_layer, layers)):
        raise ValueError(f"something else than attestations is under {container.tag}")
    return layers


def _is_layer(layer: object) -> bool:
    return isinstance(layer, dict) and all(
        isinstance(layer.get(name), kind) for name, kind in _LAYER.items()
    )


def _upload(client: OrasClient, container: Any, media_type: str, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{digests.of_bytes(content)}"
    layer = {"mediaType": media_type, "digest": digest, "size": len(content)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blob"
        path.write_bytes(content)
        client._check_200_response(client.upload_blob(str(path), container, layer))
    return layer


def _client(registry: str) -> OrasClient:
    """Return a client that logs in as the registry asks for, with what `docker login` left.

    Raises:
        requests.RequestException: it cannot be reached.
        ValueError: it wants a password, and there is none.
    """
    scheme, challenge = _challenge(_HUB.get(registry, registry))
    known = auth.load_config().resolve_authconfig(registry) or {}
    is_basic = challenge.lower().startswith("basic")
    if is_basic and not known:
        raise ValueError("it wants a password, and there is none: `docker login`")
    client = OrasClient(insecure=scheme == "http", auth_backend="basic" if is_basic else "token")
    if known:
        client.auth.set_basic_auth(known.get("username"), known.get("password"))
    return client


def _challenge(registry: str) -> tuple[str, str]:
    """Return how a registry is spoken to, in plain on the loopback alone, and how it asks who."""
    try:
        answer = requests.get(f"https://{registry}/v2/", timeout=_SECONDS)
    except requests.RequestException:
        if not is_loopback(urlsplit(f"//{registry}").hostname or ""):
            raise
        answer = requests.get(f"http://{registry}/v2/", timeout=_SECONDS)
        if answer.status_code == requests.codes.bad_request:  # it speaks TLS, and was not believed
            raise
        return "http", answer.headers.get("Www-Authenticate", "")
    return "https", answer.headers.get("Www-Authenticate", "")
