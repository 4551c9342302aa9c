"""The SDK root in use: an official QAIRT SDK where one is mounted, else openqnn of the image.

Only this module distinguishes the two. All others take tools, libraries and environment from an
`Sdk`, by the names that both have.
"""

from __future__ import annotations

import mmap
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.errors import SdkError

MOUNTED = Path("/opt/qairt")
EMBEDDED = Path("/opt/openqnn")
HOST = "x86_64-linux-clang"
DEVICE = "aarch64-ubuntu-gcc9.4"
TOOLS = (
    "qnn-onnx-converter",
    "qnn-model-lib-generator",
    "qnn-context-binary-generator",
    "qnn-context-binary-utility",
    "qnn-net-run",
)
# The official converter's Python packages hold modules compiled for this version only.
OFFICIAL_PYTHON = (3, 10)
_VERSION = re.compile(r"^version:\s*[\"']?(\d+\.\d+\.\d+(?:\.\d+)?)\b", re.MULTILINE)
_BUILD_ID = re.compile(rb"v(\d+\.\d+\.\d+\.\d{6,})")


@dataclass(frozen=True)
class Sdk:
    """An SDK root; `version` is what its `sdk.yaml` says, e.g. 2.51.0.260929181845."""

    root: Path
    version: str
    name: str

    def tool(self, name: str) -> Path:
        """Return one of the commands.

        Raises:
            SdkError: this SDK has no such command.
        """
        return self._existing(self.root / "bin" / HOST / name)

    def library(self, name: str, target: str = HOST) -> Path:
        """Return one of Qualcomm's libraries for a target, e.g. `libQnnHtp.so`.

        Raises:
            SdkError: this SDK has no such library.
        """
        return self._existing(self.root / "lib" / target / name)

    def skel(self, arch: str) -> Path:
        """Return the library that runs on the DSP itself, for an architecture such as `v73`.

        Raises:
            SdkError: this SDK has none for that architecture.
        """
        folder = self.root / f"lib/hexagon-{arch}/unsigned"
        return self._existing(folder / f"libQnnHtp{arch.upper()}Skel.so")

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return `base` with the variables that the SDK's own envsetup.sh sets."""
        return {
            **base,
            "QNN_SDK_ROOT": str(self.root),
            "QAIRT_SDK_ROOT": str(self.root),
            "PATH": _joined(self.root / "bin" / HOST, base.get("PATH", os.defpath)),
            "PYTHONPATH": _joined(self.root / "lib/python", base.get("PYTHONPATH", "")),
            "LD_LIBRARY_PATH": _joined(self.root / "lib" / HOST, base.get("LD_LIBRARY_PATH", "")),
        }

    def _existing(self, path: Path) -> Path:
        if path.is_file():
            return path
        raise SdkError(
            f"The SDK at {self.root} ({self.version}) has no {path.relative_to(self.root)}.",
            cause="an SDK that is not for Linux, or was unpacked only in part",
            remedy="unpack it again, or build without --sdk",
        )


def in_force(
    mounted: Path = MOUNTED,
    embedded: Path = EMBEDDED,
    python: tuple[int, int] = sys.version_info[:2],
) -> Sdk:
    """Return the SDK that this container works with.

    Raises:
        SdkError: none is there, or the mounted one does not fit this lane of the image.
    """
    is_official = mounted.is_dir() and any(mounted.iterdir())
    root = mounted if is_official else embedded
    sdk = Sdk(root, read_version(root), "QAIRT" if is_official else "openqnn")
    if is_official and python != OFFICIAL_PYTHON:
        raise SdkError(
            f"The QAIRT SDK {sdk.version} needs Python {_dotted(OFFICIAL_PYTHON)}, "
            f"this image has {_dotted(python)}.",
            cause="an official SDK in the wrong lane of the image",
            remedy="build with --lane jammy, or without --sdk",
        )
    for name in TOOLS:
        sdk.tool(name)
    return sdk


def read_version(root: Path) -> str:
    """Return the version in a root's `sdk.yaml`.

    Raises:
        SdkError: there is none.
    """
    file = root / "sdk.yaml"
    said = _VERSION.search(file.read_text()) if file.is_file() else None
    if said:
        return said[1]
    nested = sorted(root.glob("*/sdk.yaml"))
    hint = f"; an SDK is in {nested[0].parent.name}/ below it" if nested else ""
    raise SdkError(
        f"{root} is not an SDK root: it has no sdk.yaml with a version{hint}.",
        cause="the folder above or below the SDK's root was mounted",
        remedy="give --sdk the folder that holds sdk.yaml, bin/ and lib/",
    )


def build_id(library: Path) -> str:
    """Return the SDK build that is named in one of Qualcomm's libraries, without the `v`.

    Raises:
        SdkError: it names none.
    """
    with (
        library.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        match = _BUILD_ID.search(data)
        said = match[1].decode() if match else ""
    if not said:
        raise SdkError(f"{library} does not name its SDK build.")
    return said


def check_libraries(sdk: Sdk, arch: str) -> None:
    """Check that compiler, board and DSP libraries all belong to the build in `sdk.yaml`.

    Raises:
        SdkError: one is missing or of another build; a board would refuse such a mixture.
    """
    libraries = [sdk.library("libQnnHtp.so", target) for target in (HOST, DEVICE)]
    for library in [*libraries, sdk.skel(arch)]:
        build = build_id(library)
        if not build.startswith(sdk.version):
            raise SdkError(
                f"{library} is of build {build}, the SDK says that it is {sdk.version}.",
                cause="files of two SDKs in one folder",
                remedy="unpack the SDK again, into an empty folder",
            )


def _joined(first: Path, rest: str) -> str:
    return f"{first}:{rest}" if rest else str(first)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
