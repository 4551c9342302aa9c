"""Our seccomp profile lets a compiler switch address randomisation off; Docker's own does not."""

import pytest
from testinfra.host import Host

import docker
from scripts.image.image import Image

pytestmark = pytest.mark.image

# Exits 0 when personality(ADDR_NO_RANDOMIZE) is allowed; else with the errno.
SWITCH_OFF = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(0 if libc.personality(0x0040000) >= 0 else ctypes.get_errno())
"""
EPERM = 1


def test_our_profile_allows_it(host: Host) -> None:
    assert host.run("python -c %s", SWITCH_OFF).rc == 0


def test_addresses_are_then_the_same_every_time(host: Host) -> None:
    script = "setarch -R sh -c 'grep -m1 stack /proc/self/maps'"
    assert len({host.check_output(script) for _ in range(3)}) == 1


def test_our_profile_still_refuses_other_values(host: Host) -> None:
    read_implies_exec = SWITCH_OFF.replace("0x0040000", "0x0400000")
    assert host.run("python -c %s", read_implies_exec).rc == EPERM


def test_dockers_own_profile_refuses_it(client: docker.DockerClient, image: Image) -> None:
    container = client.containers.run(
        image.id, ["python", "-c", SWITCH_OFF], detach=True, network_mode="none"
    )
    try:
        assert container.wait()["StatusCode"] == EPERM
    finally:
        container.remove(force=True)
