"""The built image, running under the restrictions of a real stage, and a listing of all in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

import docker
from scripts.image import content
from scripts.image import image as images
from scripts.image.image import Image
from scripts.image.lanes import DEFAULT, Lane, load
from scripts.pipeline import engine
from scripts.source import ROOT
from tests.containers import idle


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
    with idle(client, image) as container:
        yield container


@pytest.fixture(scope="session")
def listing(client: docker.DockerClient, image: Image) -> content.Listing:
    """Every path of the image and its configuration, as in its content digest."""
    return images.contents(client, image.id)


@pytest.fixture(scope="session")
def locks() -> Path:
    return ROOT / "docker" / "locks"
