"""The build image of a lane: find it, pull it or build it, and prove that it builds the same.

An image says in its labels what it was made from and what is in it: nothing is taken on its tag.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from docker.errors import DockerException, ImageNotFound

import docker
from scripts.console import size
from scripts.errors import ReproducibilityError
from scripts.image import content, locks, recipe
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import CACHE, Lane, load

REPOSITORY = "dinov3-qnn"
REFERENCE_VARIABLE = "DINOV3_QNN_IMAGE"
LABEL_LANE = "dinov3-qnn.lane"
LABEL_INPUTS = "dinov3-qnn.inputs"
LABEL_CONTENT = "dinov3-qnn.content"


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
    found = (_read(client, f"{REPOSITORY}:{tag}") for tag in tags)
    return next((image for image in found if image and image.inputs_digest == inputs), None)


def ensure(client: docker.DockerClient, lane: str) -> Image:
    """Return the lane's image: the one that is there, else one pulled, else one built.

    Raises:
        ImageBuildError: it cannot be built either.
    """
    if found := find(client, lane):
        return found
    log, chosen = BuildLog(), load(lane)
    with _alone(log):
        # Another process may just have made it.
        return find(client, lane) or _pull(client, chosen, log) or _build(client, chosen, log)


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
    log, chosen = BuildLog(), load(lane)
    with _alone(log), recipe.swept(client):
        made = _built_twice(client, chosen, log)
    if not _is_as_recorded(made):
        raise ReproducibilityError(
            f"Lane {lane} comes to {made.content_digest} here, twice, but not where its digest was"
            f" recorded: {locks.recorded(chosen)['content']}.",
            cause="the two machines differ in something that the locks do not hold",
        )
    locks.record(chosen, made.inputs_digest, made.content_digest)
    return made


def lock(client: docker.DockerClient, lane: str) -> Image:
    """Lock what the archive and the index have now, build that, and record what it comes to.

    Raises:
        ImageBuildError: something that is asked for cannot be had.
    """
    log, chosen = BuildLog(), load(lane)
    with _alone(log):
        locks.refresh(client, [chosen], log)
        made = _build(client, chosen, log)
        locks.record(chosen, made.inputs_digest, made.content_digest)
    return made


def _build(
    client: docker.DockerClient, lane: Lane, log: BuildLog, *, no_cache: bool = False
) -> Image:
    # Taken before the build: a file that is edited meanwhile makes the next one build again.
    inputs = recipe.inputs_digest(lane)
    unlabelled = recipe.build(client, lane, log, no_cache=no_cache)
    made = _label(client, lane, unlabelled, inputs, _contents(client, unlabelled, log), log)
    if not _is_as_recorded(made):
        log.say(f"WARNING: another machine got {locks.recorded(lane)['content']} from this")
    return made


def _built_twice(client: docker.DockerClient, lane: Lane, log: BuildLog) -> Image:
    inputs = recipe.inputs_digest(lane)
    first = _contents(client, recipe.build(client, lane, log, no_cache=True), log)
    unlabelled = recipe.build(client, lane, log, no_cache=True)
    second = _contents(client, unlabelled, log)
    if different := content.differences(first, second):
        paths = "\n  ".join(different)
        raise ReproducibilityError(f"Two builds of lane {lane.name} differ, first in:\n  {paths}")
    log.say(f"two builds are equal in all of {len(first)} paths: {content.digest(first)}")
    return _label(client, lane, unlabelled, inputs, second, log)


def _is_as_recorded(made: Image) -> bool:
    """Tell whether the content is the recorded one, if that is of the same inputs."""
    recorded = locks.recorded(load(made.lane))
    return recorded.get("inputs") != made.inputs_digest or (
        recorded["content"] == made.content_digest
    )


def _contents(client: docker.DockerClient, image: str, log: BuildLog) -> content.Listing:
    log.say("reading what is in it")
    container = client.api.create_container(image, ["true"])["Id"]
    try:
        return content.listing(content.stream(client.api.export(container)))
    finally:
        client.api.remove_container(container)


def _label(
    client: docker.DockerClient,
    lane: Lane,
    unlabelled: str,
    inputs: str,
    listing: content.Listing,
    log: BuildLog,
) -> Image:
    labels = {
        LABEL_LANE: lane.name,
        LABEL_INPUTS: inputs,
        LABEL_CONTENT: content.digest(listing),
    }
    tag = f"{REPOSITORY}:{lane.name}"
    recipe.label(client, unlabelled, labels, tag, log)
    made = _read(client, tag)
    if made is None:
        raise ImageNotFound(f"{tag} was built, but is gone")
    # Two checkouts with one engine keep an image each.
    client.images.get(tag).tag(REPOSITORY, f"{lane.name}-{_short(inputs)}")
    log.say(f"{tag} is built: {size(made.size)}, content {made.content_digest}")
    return made


def _pull(client: docker.DockerClient, lane: Lane, log: BuildLog) -> Image | None:
    reference = os.environ.get(REFERENCE_VARIABLE) or lane.registry
    if not reference:
        return None
    log.say(f"pulling {reference}")
    try:
        client.images.pull(reference).tag(REPOSITORY, lane.name)
    except DockerException as error:
        log.say(f"it cannot be pulled, building instead: {error}")
        return None
    found = find(client, lane.name)
    if found is None:
        log.say(f"{reference} was not made from these files, building instead")
    return found


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _read(client: docker.DockerClient, tag: str) -> Image | None:
    """Return an image with our labels, None where there is none of that tag or it has them not."""
    try:
        image = client.images.get(tag)
    except ImageNotFound:
        return None
    labels = image.labels
    if not {LABEL_LANE, LABEL_INPUTS, LABEL_CONTENT} <= labels.keys():
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
