"""What a lane's image is made from: the base, the wheels, our files; and the build of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from docker.errors import APIError, ImageNotFound

import docker
from scripts import digests
from scripts.image import base, builder, content, locks, wheels
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import DOCKER, Lane
from scripts.source import ROOT

# Every stage of docker/Dockerfile has it.
_STAGE_LABEL = "dinov3-qnn.stage"
_BASE_REPOSITORY = "dinov3-qnn-base"
_TOOLCHAINS = ROOT / "toolchains"
# In the folders of the sources, but no part of them; neither are hidden files and caches of tools.
_LEFT_OUT = ("README.md", "__pycache__", "build", "tests")


def build(client: docker.DockerClient, lane: Lane, log: BuildLog, *, no_cache: bool) -> str:
    """Build a lane's image, not yet labelled, and return its id.

    Raises:
        ImageBuildError: a step failed, or a pin cannot be met.
    """
    packages = locks.packages(lane)
    context = _context(lane, log)
    tar = base.tarball(client, lane, packages, log, fresh=no_cache)
    arguments = {
        "BASE": _imported(client, lane, tar, log),
        "PYTHON": lane.python,
        "CLANG": lane.clang,
        "HEXAGON": " ".join(lane.hexagon),
    }
    return builder.build(client, context, log, arguments=arguments, no_cache=no_cache)


def label(
    client: docker.DockerClient, image: str, labels: Mapping[str, str], tag: str, log: BuildLog
) -> None:
    """Put labels and a tag on an image."""
    dockerfile = f"FROM {image.removeprefix('sha256:')}\n".encode()
    builder.build(client, {"Dockerfile": dockerfile}, log, labels=labels, tag=tag)


@contextmanager
def swept(client: docker.DockerClient) -> Iterator[None]:
    """Remove, in the end, the gigabytes that builds without cache leave in the engine."""
    before = {image.id for image in client.images.list()}
    try:
        yield
    finally:
        for image in client.images.list(filters={"dangling": True, "label": _STAGE_LABEL}):
            # What another image or a container is made of stays: the engine refuses to remove it.
            if image.id not in before:
                with suppress(APIError):
                    client.images.remove(str(image.id))


def inputs_digest(lane: Lane) -> str:
    """Return the digest of everything that decides what is in a lane's image, as `sha256:...`.

    The form of the content digest counts too: both are labels of the image.
    """
    files = {**sources(lane), "clean_base.sh": base.HOOK, "packages": lane.lock("packages.txt")}
    entries = [(name, digests.of_file(path)) for name, path in files.items() if path.exists()]
    modes = "".join(sorted(name for name, path in files.items() if builder.is_executable(path)))
    entries += [("lane", digests.of_bytes(repr(lane).encode())), ("modes", modes)]
    entries += [("form", str(content.FORM))]
    return f"sha256:{digests.of_listing(entries)}"


def _context(lane: Lane, log: BuildLog) -> builder.Context:
    python = locks.python(lane)
    folders = [wheels.download(python, locks.image_platform(lane), log)]
    folders += [wheels.download(locks.QAIRT, locks.qairt(m), log) for m in ("x86_64", "aarch64")]
    files = {f"wheels/{path.name}": path for folder in folders for path in folder.iterdir()}
    return {**sources(lane), **files}


def sources(lane: Lane) -> dict[str, Path]:
    """Return the files of this repository that go into the build, by their names in there."""
    named = {"Dockerfile": DOCKER / "Dockerfile", "python.txt": lane.lock("python.txt")}
    named["qairt.txt"] = locks.QAIRT
    for name in ("sdk.toml", "lay_out_sdk.py", "slim_python.sh", "torchvision_cpu.py"):
        named[f"docker/{name}"] = DOCKER / name
    return named | {str(path.relative_to(ROOT)): path for path in _files(_TOOLCHAINS)}


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _LEFT_OUT or path.name.startswith("."):
            continue
        if path.is_file():
            yield path
        else:
            yield from _files(path)


def _imported(client: docker.DockerClient, lane: Lane, tar: Path, log: BuildLog) -> str:
    tag = f"{lane.name}-{digests.of_file(tar)[:12]}"
    reference = f"{_BASE_REPOSITORY}:{tag}"
    try:
        client.images.get(reference)
    except ImageNotFound:
        log.say("importing the base")
        _import(client, tar, tag, log)
        for old in client.images.list(f"{_BASE_REPOSITORY}:{lane.name}-*"):
            if reference not in old.tags:
                client.images.remove(old.tags[0], noprune=True)
    return reference


def _import(client: docker.DockerClient, tar: Path, tag: str, log: BuildLog) -> None:
    """Import a root file system; what goes wrong meanwhile is in the answer, not in its status."""
    answer = client.api.import_image_from_file(str(tar), repository=_BASE_REPOSITORY, tag=tag)
    for line in answer.splitlines():
        if line and (error := json.loads(line).get("error")):
            log.write(error)
            raise builder.failed(error, log)
