"""The build image of a lane: find it, pull it or build it, and prove that it builds the same.

An image says in its labels what it was made from and what is in it: nothing is taken on its tag.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from docker.errors import DockerException, ImageNotFound
from docker.models.images import Image as DockerImage

import docker
from scripts.console import size
from scripts.errors import ImageBuildError, ReproducibilityError, UsageError
from scripts.image import content, locks, recipe
from scripts.image.buildlog import BuildLog
from scripts.image.content import Listing
from scripts.image.lanes import CACHE, Lane, load

REPOSITORY = "dinov3-qnn"
REFERENCE_VARIABLE = "DINOV3_QNN_IMAGE"
LABEL_LANE = "dinov3-qnn.lane"
LABEL_INPUTS = "dinov3-qnn.inputs"
LABEL_CONTENT = "dinov3-qnn.content"
_LABELS = (LABEL_LANE, LABEL_INPUTS, LABEL_CONTENT)
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Image:
    """An image in the engine. `size` is in bytes; the digests read `sha256:...`."""

    id: str
    tag: str
    lane: str
    content_digest: str
    inputs_digest: str
    size: int


def find(client: docker.DockerClient, lane: str) -> Image | None:
    """Return the lane's image if the engine has the one that our files describe."""
    inputs = recipe.inputs_digest(load(lane))
    tags = (f"{lane}-{_short(inputs)}", lane)
    present = (_read(client, f"{REPOSITORY}:{tag}") for tag in tags)
    return next((image for image in present if image and image.inputs_digest == inputs), None)


def ensure(client: docker.DockerClient, lane: str) -> Image:
    """Return the lane's image: the one that is there, else one pulled, else one built.

    Raises:
        ImageBuildError: it cannot be built either.
    """
    require_reference(lane)
    described = load(lane)
    locks.recorded(described)  # a damaged file is refused before an hour's work, not after it
    if present := find(client, lane):
        return present
    log = BuildLog()
    with _alone(log):
        # Another process may just have made it.
        return find(client, lane) or _pull(client, described, log) or _build(client, described, log)


def require_reference(lane: str) -> str:
    """Return the name of the image to pull, if any; refuse a wrong one, even where none is pulled.

    Raises:
        UsageError: it is no digest: what it names can change.
    """
    return _reference(load(lane))


def build(client: docker.DockerClient, lane: str, *, no_cache: bool = False) -> Image:
    """Build the lane's image, using nothing that was made before if `no_cache`.

    Raises:
        ImageBuildError: a step failed, or a pin cannot be met.
    """
    log = BuildLog()
    with _alone(log), recipe.swept(client) if no_cache else nullcontext():
        return _build(client, load(lane), log, no_cache=no_cache)


def reproduce(client: docker.DockerClient, lane: str) -> Image:
    """Build the lane's image twice from nothing, compare all that is in it, record what it is.

    Raises:
        ReproducibilityError: the two differ, or differ from the recorded digest; the message names
            the first paths.
    """
    log, described = BuildLog(), load(lane)
    with _alone(log), recipe.swept(client):
        built = _built_twice(client, described, log)
    if not _is_as_recorded(built):
        raise ReproducibilityError(
            f"Lane {lane} comes to {built.content_digest} here, twice, but not where its digest was"
            f" recorded: {locks.recorded(described)['content']}.",
            cause="the two machines differ in something that the locks do not hold",
        )
    if locks.recorded(described).get("inputs") != built.inputs_digest:
        locks.record(described, built.inputs_digest, built.content_digest)
    return built


def lock(client: docker.DockerClient, lane: str) -> Image:
    """Lock what the archive and the index have now, build that, and record what it comes to.

    Raises:
        ImageBuildError: something that is asked for cannot be had.
    """
    from scripts.image import bill  # its library is slow to import: not for every command

    log, described = BuildLog(), load(lane)
    with _alone(log):
        locks.refresh(client, [described], log)
        built = _build(client, described, log)
        bill.lock(client, described, built.id)
        locks.record(described, built.inputs_digest, built.content_digest)
    return built


def _build(
    client: docker.DockerClient, lane: Lane, log: BuildLog, *, no_cache: bool = False
) -> Image:
    # Taken before the build: a file that is edited meanwhile makes the next one build again.
    inputs = recipe.inputs_digest(lane)
    unlabelled = recipe.build(client, lane, log, no_cache=no_cache)
    built = _label(client, lane, unlabelled, inputs, contents(client, unlabelled, log), log)
    if not _is_as_recorded(built):
        log.say(f"WARNING: another machine got {locks.recorded(lane)['content']} from this")
    return built


def _built_twice(client: docker.DockerClient, lane: Lane, log: BuildLog) -> Image:
    inputs = recipe.inputs_digest(lane)
    first = contents(client, recipe.build(client, lane, log, no_cache=True), log)
    unlabelled = recipe.build(client, lane, log, no_cache=True)
    second = contents(client, unlabelled, log)
    if different := content.differences(first, second):
        paths = "\n  ".join(different)
        raise ReproducibilityError(f"Two builds of lane {lane.name} differ, first in:\n  {paths}")
    log.say(f"two builds are equal in all of {len(first)} paths: {content.digest(first)}")
    return _label(client, lane, unlabelled, inputs, second, log)


def _is_as_recorded(built: Image) -> bool:
    """Tell whether the content is the recorded one, if that is of the same inputs."""
    recorded = locks.recorded(load(built.lane))
    return recorded.get("inputs") != built.inputs_digest or (
        recorded["content"] == built.content_digest
    )


def contents(client: docker.DockerClient, image: str, log: BuildLog | None = None) -> Listing:
    """Return all that an image is: its files and its configuration, as the engine has them."""
    if log:
        log.say("reading what is in it")
    config = client.api.inspect_image(image)["Config"]
    container = client.api.create_container(image, ["true"])["Id"]
    try:
        files = content.listing(content.stream(client.api.export(container)))
    finally:
        client.api.remove_container(container)
    return {**files, **content.configuration(config, _LABELS)}


def _label(
    client: docker.DockerClient,
    lane: Lane,
    unlabelled: str,
    inputs: str,
    listing: Listing,
    log: BuildLog,
) -> Image:
    labels = dict(zip(_LABELS, (lane.name, inputs, content.digest(listing)), strict=True))
    tag = f"{REPOSITORY}:{lane.name}"
    recipe.label(client, unlabelled, labels, tag, log)
    built = _read(client, tag)
    if built is None:
        raise ImageNotFound(f"{tag} was built, but is gone")
    _tag_both(client.images.get(tag), lane, inputs)
    log.say(f"{tag} is built: {size(built.size)}, content {built.content_digest}")
    return built


def _tag_both(image: DockerImage, lane: Lane, inputs: str) -> None:
    """Tag an image as the lane's, and by its inputs: two checkouts on one engine keep one each."""
    image.tag(REPOSITORY, lane.name)
    image.tag(REPOSITORY, f"{lane.name}-{_short(inputs)}")


def _reference(lane: Lane) -> str:
    """Return what to pull the image by, if anything.

    Raises:
        UsageError: it is no digest: what it names can change.
    """
    reference = os.environ.get(REFERENCE_VARIABLE) or lane.registry
    if reference and not _BY_DIGEST.fullmatch(reference):
        raise UsageError(
            f"{reference} does not name an image by its digest.",
            cause="a tag can be moved to another image at any time",
            remedy="NAME@sha256:..., as `invoke image.push` prints it",
        )
    return reference


def _pull(client: docker.DockerClient, lane: Lane, log: BuildLog) -> Image | None:
    """Return the image that is named, once it is proved to be the recorded one.

    Raises:
        UsageError: the reference is no digest: what it names can change.
        ImageBuildError: it is another image than the one recorded for these files.
    """
    reference = _reference(lane)
    if not reference:
        return None
    inputs = recipe.inputs_digest(lane)
    if locks.recorded(lane).get("inputs") != inputs:
        log.say(f"no digest is recorded for these files, to hold {reference} against: building")
        return None
    log.say(f"pulling {reference}")
    try:
        image = client.images.pull(reference)
    except DockerException as error:
        log.say(f"it cannot be pulled, building instead: {error}")
        return None
    _prove(client, lane, image, inputs, log)
    _tag_both(image, lane, inputs)
    return find(client, lane.name)


def _prove(
    client: docker.DockerClient, lane: Lane, image: DockerImage, inputs: str, log: BuildLog
) -> None:
    """Compute what a pulled image is, and compare that and its labels with what is recorded."""
    recorded = locks.recorded(lane)["content"]
    computed = content.digest(contents(client, str(image.id), log))
    if computed != recorded:
        raise ImageBuildError(
            f"The image that was pulled comes to {computed}, recorded is {recorded}.",
            cause="files, entry point, environment, user or labels were changed after the build",
            remedy=f"unset {REFERENCE_VARIABLE} to build it here, or name the image of this commit",
        )
    if tuple(image.labels.get(label) for label in _LABELS) != (lane.name, inputs, recorded):
        raise ImageBuildError(
            "The image that was pulled says of itself what it is not: its labels are forged.",
            remedy=f"unset {REFERENCE_VARIABLE} to build it here",
        )


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _read(client: docker.DockerClient, tag: str) -> Image | None:
    """Return an image with our labels, None where there is none of that tag or it has them not."""
    try:
        image = client.images.get(tag)
    except ImageNotFound:
        return None
    labels = image.labels
    if not set(_LABELS) <= labels.keys():
        return None
    digests = (labels[LABEL_CONTENT], labels[LABEL_INPUTS])
    return Image(str(image.id), tag, labels[LABEL_LANE], *digests, image.attrs["Size"])


@contextmanager
def _alone(log: BuildLog) -> Iterator[None]:
    """Keep two processes from building at once; the second waits for the first."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.say("another process is building an image: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
