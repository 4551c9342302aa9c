"""The image holds exactly what the locks name, and it works."""

import json
import re

import pytest
from testinfra.host import Host

import docker
from scripts.image import bill, locks
from scripts.image.image import Image
from scripts.image.lanes import Lane

pytestmark = pytest.mark.image

PROCESSOR = """
import numpy, torch, transformers
from PIL import Image
picture = Image.fromarray(numpy.arange(60 * 40 * 3, dtype=numpy.uint8).reshape(60, 40, 3))
processor = transformers.DINOv3ViTImageProcessor()
print(*processor(picture, return_tensors="pt")["pixel_values"].shape)
"""
PROVIDER = """
import onnxruntime, onnxruntime_qnn
onnxruntime.register_execution_provider_library(
    onnxruntime_qnn.get_ep_name(), onnxruntime_qnn.get_library_path())
print(*{device.ep_name for device in onnxruntime.get_ep_devices()})
"""


def test_licences_are_those_that_the_packages_name(
    client: docker.DockerClient, image: Image, lane: Lane
) -> None:
    assert bill.licences(client, image.id) == locks.licences(lane)


def test_debian_packages_are_the_locked_ones(host: Host, lane: Lane) -> None:
    output = host.check_output("dpkg-query -W -f '${Package}=${Version}\\n'")
    assert dict(line.split("=", 1) for line in output.splitlines()) == (
        locks.packages(lane).versions
    )


def test_python_packages_are_the_locked_ones(host: Host, lane: Lane) -> None:
    listed = json.loads(host.check_output("python -m pip list --format json"))
    installed = {re.sub(r"[-_.]+", "-", p["name"]).lower(): p["version"] for p in listed}
    lock = re.findall(r"^(\S+)==(\S+)", locks.python(lane).read_text(), re.MULTILINE)
    assert installed == dict(lock)


def test_python_packages_fit_together(host: Host) -> None:
    assert host.check_output("python -m pip check") == "No broken requirements found."


def test_compilers_are_of_the_lanes_versions(host: Host, lane: Lane) -> None:
    gcc = "$QNN_AARCH64_UBUNTU_GCC_94/usr/bin/aarch64-linux-gnu-g++ -dumpfullversion"
    assert host.check_output(gcc) == lane.gcc
    assert host.check_output("clang++ -dumpversion").split(".")[0] == lane.clang
    assert host.check_output("python --version").startswith(f"Python {lane.python}.")


def test_python_is_the_environments(host: Host) -> None:
    assert host.check_output("command -v python") == "/opt/venv/bin/python"


def test_torch_is_built_for_the_cpu(host: Host) -> None:
    script = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
    assert host.check_output("python -c %s", script) == "None False"


def test_hugging_faces_processor_runs(host: Host) -> None:
    assert host.check_output("python -c %s", PROCESSOR) == "1 3 224 224"


def test_execution_provider_registers(host: Host) -> None:
    assert "QNNExecutionProvider" in host.check_output("python -c %s", PROVIDER)


def test_emulator_is_the_one_for_aarch64(host: Host) -> None:
    assert host.check_output("ls /usr/bin/ | grep ^qemu-") == "qemu-aarch64-static"
