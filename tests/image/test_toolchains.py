"""Each toolchain builds a small C++ library that fits where it is to run, and the other runs it."""

import json

import pytest
from testinfra.host import Host

from scripts import catalog
from scripts.htp import elf
from scripts.source import ROOT

pytestmark = pytest.mark.image

GNU = "$QNN_AARCH64_UBUNTU_GCC_94/usr/bin/aarch64-linux-gnu-"
YOCTO = (
    "$QNN_AARCH64_LINUX_OE_GCC_112/sysroots/x86_64-qtisdk-linux/usr/bin"
    "/aarch64-oe-linux/aarch64-oe-linux-"
)
TOOLCHAINS = {
    "x86_64-clang": ("clang++", "objcopy", "elf64-x86-64", "i386:x86-64"),
    "x86_64-libc++": ("clang++ -stdlib=libc++", "objcopy", "elf64-x86-64", "i386:x86-64"),
    "aarch64-gcc11": (f"{GNU}g++", f"{GNU}objcopy", "elf64-littleaarch64", "aarch64"),
    "aarch64-sysroot": (
        *(f"{GNU}g++ --sysroot=$QNN_AARCH64_UBUNTU_GCC_94", f"{GNU}objcopy"),
        *("elf64-littleaarch64", "aarch64"),
    ),
    "aarch64-oe": (
        f"{YOCTO}g++ --sysroot=$QNN_AARCH64_LINUX_OE_GCC_112/sysroots/armv8a-oe-linux",
        *(f"{YOCTO}objcopy", "elf64-littleaarch64", "aarch64"),
    ),
}
WEIGHTS = bytes(range(100))
ANSWER = f"{len(WEIGHTS)} {sum(WEIGHTS)} -1"
FACTS = """
import dataclasses, json, pathlib, sys
from scripts.htp import elf
facts = elf.read(pathlib.Path(sys.argv[1]))
breaches = elf.breaches(facts, elf.load_abi(pathlib.Path(sys.argv[2]))) if sys.argv[2:] else ()
print(json.dumps({**dataclasses.asdict(facts), "breaches": breaches}, default=sorted))
"""


@pytest.fixture(scope="module", params=TOOLCHAINS)
def toolchain(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def built(host: Host, toolchain: str) -> str:
    """Build the sample with one toolchain, the way Qualcomm's makefiles do; return its folder."""
    compiler, objcopy, form, machine = TOOLCHAINS[toolchain]
    folder = f"/tmp/{toolchain}"
    script = f"""
        set -e
        mkdir -p {folder}/obj/binary && cd {folder}
        python -c 'import sys; sys.stdout.buffer.write(bytes(range(100)))' > obj/binary/weights.raw
        {objcopy} -I binary -O {form} -B {machine} obj/binary/weights.raw weights.o
        {compiler} -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -Wall -Werror \\
            -Wl,-soname,libsample.so -o libsample.so /src/tests/image/sample.cpp weights.o
        {compiler} -std=c++17 -O2 -Wall -Werror -o sample /src/tests/image/sample_main.cpp -ldl
    """
    done = host.run("sh -c %s", script)
    assert done.rc == 0, done.stderr
    return folder


def read(host: Host, *paths: str) -> dict[str, object]:
    arguments = " ".join(paths)
    facts: dict[str, object] = json.loads(host.check_output(f"python -c %s {arguments}", FACTS))
    return facts


def contract(toolchain: str) -> str:
    folder = "x86_64-clang" if toolchain.startswith("x86") else "aarch64-gcc11"
    return f"toolchains/{folder}/abi.toml"


def test_library_keeps_the_abi_contract(host: Host, built: str, toolchain: str) -> None:
    facts = read(host, f"{built}/libsample.so", f"/src/{contract(toolchain)}")
    assert facts["breaches"] == []
    assert facts["kind"] == "shared"
    assert facts["rpath"] == []
    versions = facts["versions"]
    assert isinstance(versions, dict)
    assert {"GLIBC"} <= versions.keys()
    assert ("GLIBCXX" in versions) == ("libc++" not in toolchain)


def test_library_exports_what_is_declared_visible(host: Host, built: str) -> None:
    exports = read(host, f"{built}/libsample.so")["exports"]
    assert isinstance(exports, list)
    assert "sample_checksum" in exports


def test_raw_file_becomes_an_object_of_the_target(host: Host, built: str, toolchain: str) -> None:
    facts = read(host, f"{built}/weights.o")
    assert (facts["machine"], facts["kind"]) == (toolchain.split("-")[0], "object")
    assert "_binary_obj_binary_weights_raw_start" in str(facts["symbols"])


def test_library_loads_and_answers(host: Host, built: str, toolchain: str) -> None:
    emulator = "qemu-aarch64-static -L $QNN_AARCH64_UBUNTU_GCC_94 " * ("aarch64" in toolchain)
    assert host.check_output(f"{emulator}{built}/sample {built}/libsample.so") == ANSWER


def test_debug_information_can_be_stripped(host: Host, built: str, toolchain: str) -> None:
    strip = f"{GNU}strip" if "aarch64" in toolchain else "strip"
    host.run_expect([0], f"{strip} --strip-unneeded -o {built}/small.so {built}/libsample.so")
    assert read(host, f"{built}/small.so")["symbols"] == []


def test_qualcomms_own_library_keeps_the_contract(host: Host) -> None:
    library = "/opt/openqnn/lib/aarch64-ubuntu-gcc9.4/libQnnHtp.so"
    facts = read(host, library, "/src/toolchains/aarch64-gcc11/abi.toml")
    assert facts["breaches"] == []


@pytest.mark.parametrize("arch", sorted({row.arch for row in catalog.targets().values()}))
def test_skel_is_for_the_hexagon(host: Host, arch: str) -> None:
    library = f"hexagon-{arch}/unsigned/libQnnHtp{arch.upper()}Skel.so"
    facts = read(host, f"/opt/openqnn/lib/{library}")
    assert (facts["machine"], facts["bits"], facts["kind"]) == ("hexagon", 32, "shared")


def test_contracts_name_both_c_plus_plus_ceilings() -> None:
    for folder in ("x86_64-clang", "aarch64-gcc11"):
        abi = elf.load_abi(ROOT / "toolchains" / folder / "abi.toml")
        assert {"GLIBC", "GLIBCXX", "CXXABI"} <= abi.ceilings.keys()
