"""The built image, running under the restrictions of a real stage, and a listing of all in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

import docker
from scripts.pipeline import content, engine
from scripts.pipeline import image as images
from scripts.pipeline.container import ENVIRONMENT, SECCOMP
from scripts.pipeline.image import Image
from scripts.pipeline.lanes import DEFAULT, Lane, load
from scripts.pipeline.source import ROOT

# Nobody in particular: the image must work for whoever calls.
STRANGER = "12345:54321"


@pytest.fixture(scope="session")
def client() -> docker.DockerClient:
    return engine.connect()


@pytest.fixture(scope="session")
def lane() -> Lane:
    return load(DEFAULT)


@pytest.fixture(scope="session")
def image(client: docker.DockerClient, lane: Lane) -> Image:
    return images.ensure(client, lane.name)


@pytest.fixture(scope="session")
def host(client: docker.DockerClient, image: Image) -> Iterator[Host]:
    """The image as a stage sees it, idle, with this repository at /src."""
    container = client.containers.run(
        image.id,
        ["sleep", "infinity"],
        detach=True,
        init=True,
        user=STRANGER,
        read_only=True,
        cap_drop=["ALL"],
        network_mode="none",
        security_opt=["no-new-privileges", f"seccomp={SECCOMP.read_text()}"],
        tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},
        environment=ENVIRONMENT,
        volumes={str(ROOT): {"bind": "/src", "mode": "ro"}},
        working_dir="/src",
    )
    try:
        yield testinfra.get_host(f"docker://{container.id}")
    finally:
        container.remove(force=True)


@pytest.fixture(scope="session")
def listing(client: docker.DockerClient, image: Image) -> content.Listing:
    """Every path of the image, described as in its content digest."""
    container = client.api.create_container(image.id, ["true"])["Id"]
    try:
        return content.listing(content.stream(client.api.export(container)))
    finally:
        client.api.remove_container(container)


@pytest.fixture(scope="session")
def locks() -> Path:
    return ROOT / "docker" / "locks"
