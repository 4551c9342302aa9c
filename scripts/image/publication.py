"""The build image in a registry: pushed, with its bill of materials and its signed provenance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from docker.errors import DockerException, ImageNotFound

import docker
from scripts import source
from scripts.errors import ImageBuildError, UsageError
from scripts.image import content, locks
from scripts.image import image as images
from scripts.image.image import Image
from scripts.image.lanes import load

_REPOSITORY = re.compile(r"([\w.-]+(:\d+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
# How engines word, in Go, that nothing answers.
_SILENT = re.compile(r"dial (tcp|udp)|no such host|timeout|deadline exceeded", re.IGNORECASE)


def push(client: docker.DockerClient, lane: str, reference: str, key: Path | None = None) -> str:
    """Push the lane's image and its bill of materials; return what it can be pulled by: its digest.

    With a `key`, its provenance is signed and pushed, too.

    Raises:
        UsageError: the reference is not a repository, or a repository and a tag; or the checkout
            cannot answer for the image.
        ImageBuildError: the registry refuses it, or the image is not what it says of itself.
        KeyFileError: the key cannot be used.
    """
    from scripts import attestation  # their libraries are slow to import
    from scripts.image import attachments, provenance

    signer = attestation.required(key) if key else None
    repository, tag = split(reference)
    image = images.ensure(client, lane)
    if signer:
        require_signable(client, image)
    with _tagged(client, image, repository, tag):
        pulled_by = f"{repository}@{_push(client, repository, tag)}"
    attachments.attach(pulled_by, attachments.sbom(locks.bill(load(lane))))
    if signer:
        made_from = provenance.make(image, load(lane), pulled_by)
        document = attachments.provenance(attestation.envelope(made_from, signer))
        attachments.attach(pulled_by, document)
    return pulled_by


def split(reference: str) -> tuple[str, str]:
    """Return repository and tag of a reference; a port's colon stands before a slash.

    Raises:
        UsageError: it is no such reference.
    """
    if reference.startswith("["):
        raise UsageError(
            f"{reference} names a registry by an address of IPv6, which engines do not take.",
            remedy="name it by its host, e.g. localhost:5000/dinov3-qnn:1",
        )
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = reference, "latest"
    if not _REPOSITORY.fullmatch(repository) or not _TAG.fullmatch(tag):
        raise UsageError(
            f"{reference} is not a place to push to.",
            cause="a scheme in front, a capital letter or a digest",
            remedy="HOST/NAME:TAG, e.g. registry.test:5000/team/dinov3-qnn:1",
        )
    return repository, tag


def require_signable(client: docker.DockerClient, image: Image) -> None:
    """Refuse to sign for an image that this commit does not record as made from its files.

    Raises:
        UsageError: the sources are edited, or nothing is recorded for them.
        ImageBuildError: what is in the image is not what was recorded.
    """
    if "gitCommit" not in source.revision():
        raise UsageError(
            "The provenance of an image names a commit, and the sources here are edited.",
            cause="scripts/, toolchains/ or docker/ are not as committed",
            remedy="commit or `git stash`, and push again; without --sign it is pushed as it is",
        )
    recorded = locks.recorded(load(image.lane))
    if recorded.get("inputs") != image.inputs_digest:
        raise UsageError(
            f"No content is recorded for the image's inputs {image.inputs_digest}.",
            remedy="`invoke image.reproduce` records what two builds come to: commit that, and push"
            " again",
        )
    computed = content.digest(images.contents(client, image.id))
    if not computed == image.content_digest == recorded["content"]:
        raise ImageBuildError(
            f"The image comes to {computed}, its label says {image.content_digest}, recorded is"
            f" {recorded['content']}: it is not signed, and not pushed.",
            cause="it was changed after the build",
            remedy="`invoke image.build --no-cache` makes it anew",
        )


@contextmanager
def _tagged(client: docker.DockerClient, image: Image, repository: str, tag: str) -> Iterator[None]:
    """Name an image as it is pushed; where that fails, the name is again what it was."""
    name = f"{repository}:{tag}"
    before = _id(client, name)
    client.images.get(image.id).tag(repository, tag)
    try:
        yield
    except BaseException:
        with suppress(DockerException):  # what ended the push is what is told
            if before:
                client.images.get(before).tag(repository, tag)
            else:
                client.images.remove(name, noprune=True)
        raise


def _id(client: docker.DockerClient, name: str) -> str:
    try:
        return str(client.images.get(name).id)
    except ImageNotFound:
        return ""


def _push(client: docker.DockerClient, repository: str, tag: str) -> str:
    """Push what has a tag, and return its digest in the registry.

    Raises:
        ImageBuildError: the registry does not answer, or refuses it.
    """
    digest = ""
    for event in client.api.push(repository, tag=tag, stream=True, decode=True):
        if "error" in event:
            raise _failed(f"{repository}:{tag} cannot be pushed: {event['error']}")
        digest = event.get("aux", {}).get("Digest", digest)
    return digest


def _failed(message: str) -> ImageBuildError:
    if _SILENT.search(message):
        return ImageBuildError(
            message,
            cause="the registry does not answer the engine: another host or port, or it is not"
            " running",
            remedy="mend the reference, or start the registry, and push again",
        )
    return ImageBuildError(
        message, cause="not logged in (`docker login`), or no right to write there"
    )
