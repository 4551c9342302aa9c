"""A container of the image for testinfra to look around in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import testinfra
from testinfra.host import Host

import docker
from scripts.image.image import Image
from scripts.pipeline.container import ENVIRONMENT, SECCOMP
from scripts.source import ROOT

# Nobody in particular: the image must work for whoever calls.
STRANGER = "12345:54321"


@contextmanager
def idle(client: docker.DockerClient, image: Image, **folders: Path) -> Iterator[Host]:
    """Run the image as a stage sees it, doing nothing; `folders` are seen at /<name>."""
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
        volumes={
            str(path): {"bind": f"/{name}", "mode": "ro"}
            for name, path in {"src": ROOT, **folders}.items()
        },
        working_dir="/src",
    )
    try:
        yield testinfra.get_host(f"docker://{container.id}")
    finally:
        container.remove(force=True)
