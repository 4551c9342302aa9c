"""What stands where in the image."""

import json
import re

import pytest
from testinfra.host import Host

from scripts import catalog
from scripts.image import content
from scripts.image.image import Image
from scripts.image.lanes import Lane
from scripts.source import ROOT

pytestmark = pytest.mark.image

UBUNTU = "/opt/toolchains/aarch64-gcc11"
YOCTO = "/opt/toolchains/aarch64-oe-gcc11/sysroots"
EVERYWHERE = ("Htp", "HtpNetRunExtensions", "Ir", "Saver", "System")
ARCHS = sorted({target.arch for target in catalog.targets().values()})
LIBRARIES = {
    "x86_64-linux-clang": EVERYWHERE,
    "aarch64-ubuntu-gcc9.4": (*EVERYWHERE, *(f"Htp{arch.upper()}Stub" for arch in ARCHS)),
    **{f"hexagon-{arch}/unsigned": (f"Htp{arch.upper()}Skel",) for arch in ARCHS},
}


def tools() -> list[str]:
    lines = (ROOT / "toolchains" / "aarch64-gcc11" / "tools.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if not line.startswith("#")]


def test_mount_point_of_the_sdk_is_there_and_empty(listing: content.Listing) -> None:
    assert json.loads(listing["opt/qairt"]) == ["folder", "0755", "0:0"]
    assert not [path for path in listing if path.startswith("opt/qairt/")]


def test_root_file_system_is_read_only(host: Host) -> None:
    assert host.run("touch /opt/qairt/x").rc != 0
    assert host.run("touch /tmp/x").rc == 0


@pytest.mark.parametrize("name", tools())
def test_each_tool_has_its_unversioned_names(host: Host, name: str) -> None:
    for path in (
        f"{UBUNTU}/usr/bin/aarch64-linux-gnu-{name}",
        f"{YOCTO}/x86_64-qtisdk-linux/usr/bin/aarch64-oe-linux/aarch64-oe-linux-{name}",
        f"{YOCTO}/x86_64/usr/bin/aarch64-oe-linux/aarch64-oe-linux-{name}",
    ):
        assert host.file(path).is_symlink
        assert host.run(f"{path} --version").rc == 0


def test_variables_point_at_the_toolchains(host: Host) -> None:
    environment = host.environment()
    assert environment["QNN_AARCH64_UBUNTU_GCC_94"] == UBUNTU
    assert f"{environment['QNN_AARCH64_LINUX_OE_GCC_112']}/sysroots" == YOCTO


@pytest.mark.parametrize("sysroot", [UBUNTU, f"{YOCTO}/armv8a-oe-linux"])
def test_sysroot_has_headers_and_libraries(host: Host, sysroot: str) -> None:
    for path in ("usr/include/stdio.h", "usr/lib/crt1.o", "lib/ld-linux-aarch64.so.1"):
        assert host.file(f"{sysroot}/{path}").exists, path


@pytest.mark.parametrize("name", ["clang", "clang++"])
def test_clang_has_its_unversioned_names(host: Host, lane: Lane, name: str) -> None:
    assert host.check_output(f"command -v {name}") == f"/opt/toolchains/x86_64-clang/usr/bin/{name}"
    assert f"clang version {lane.clang}." in host.check_output(f"{name} --version")


@pytest.mark.parametrize("folder", LIBRARIES)
def test_qualcomms_libraries_are_in_the_sdks_layout(host: Host, folder: str) -> None:
    names = host.file(f"/opt/openqnn/lib/{folder}").listdir()
    ours = {name for name in names if name.startswith("libQnn")}
    assert ours == {f"libQnn{name}.so" for name in LIBRARIES[folder]}


def test_yocto_libraries_are_the_same_ones(host: Host) -> None:
    link = host.file("/opt/openqnn/lib/aarch64-oe-linux-gcc11.2")
    assert link.linked_to == "/opt/openqnn/lib/aarch64-ubuntu-gcc9.4"


def test_sdk_says_its_version(host: Host) -> None:
    text = host.file("/opt/openqnn/sdk.yaml").content_string
    assert re.search(r"^version: *2\.51\.0\.", text, re.MULTILINE)


def test_licence_texts_come_along(host: Host) -> None:
    names = {"LICENSE", "Privacy.md", "Qualcomm_LICENSE.pdf", "ThirdPartyNotices.txt"}
    assert names <= set(host.file("/opt/openqnn").listdir())


def test_execution_provider_uses_the_sdks_libraries(host: Host, lane: Lane) -> None:
    package = f"/opt/venv/lib/python{lane.python}/site-packages/onnxruntime_qnn"
    for name in LIBRARIES["x86_64-linux-clang"]:
        library = host.file(f"{package}/libQnn{name}.so")
        assert library.linked_to == f"/opt/openqnn/lib/x86_64-linux-clang/libQnn{name}.so"


def test_no_large_file_is_there_twice(listing: content.Listing, host: Host) -> None:
    large = host.check_output("find /opt /usr -xdev -type f -size +4M").splitlines()
    digests = [listing[path.lstrip("/")].split()[-1] for path in large]
    assert len(digests) > 20
    twice = {path for path, d in zip(large, digests, strict=True) if digests.count(d) > 1}
    assert not twice


def test_everyone_may_read_everything_below_opt(host: Host) -> None:
    assert host.check_output("find /opt ! -readable") == ""
    assert host.check_output("find /opt -type d ! -executable") == ""


def test_it_is_no_larger_than_it_may_be(image: Image) -> None:
    assert image.size < 1.9e9


def test_labels_say_what_is_in_it(image: Image, listing: content.Listing) -> None:
    assert image.content_digest == content.digest(listing)
