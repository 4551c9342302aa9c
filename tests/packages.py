"""Small packages made by the real code from a made-up SDK, for tests with something to ship."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from scripts import catalog
from scripts.package import archive, runtime
from scripts.package.contents import Build, items
from scripts.pictures.picture_input import PictureInput

BUILD_ID = "v2.51.0.260929181845"
OTHER_BUILD_ID = "v2.43.0.260128101112"
IMAGE = 64 * "1"
AARCH64, HEXAGON, X86_64 = 183, 164, 62
NEEDS = {"glibc": "2.34", "libraries": ["libc.so.6", "libcdsprpc.so"]}
REPORTS = {
    "verify": b'{"cls": {"mean": 0.995}, "cls_by_picture": {"a.png": 0.9}}',
    "profile": b'{"milliseconds": 0.51}',
    "export": b'{"config": {"num_register_tokens": 4, "hidden_size": 96}}',
}
PLANES = PictureInput("pixel_values", np.dtype("float32"), (1, 3, 32, 32))
BYTES = PictureInput("pixel_values", np.dtype("uint8"), (1, 32, 32, 3))
CONTEXT_TEXT = "{build_id} soc_type=QCS9100;arch=73;vtcm_size=8388608;"


# In place of `qnn-context-binary-utility`: it writes what the real one says of digits.
DESCRIBES = """#!/bin/sh
while [ "$1" != --json_file ]; do shift; done
cat > "$2" <<'END'
{description}
END
"""


def description(takes: PictureInput = PLANES) -> str:
    """Return what the utility says of a context, in as much of its JSON as is read."""
    kind = "UFIXED_POINT_8" if takes.is_bytes else "FLOAT_32"
    graph = {
        "graphName": "dinov3_digits_int8",
        "graphInputs": [_tensor(takes.name, kind, takes.shape)],
        "graphOutputs": [_tensor("last_hidden_state", "FLOAT_32", (1, 21, 96))],
    }
    return json.dumps({"info": {"graphs": [{"info": graph}]}})


def _tensor(name: str, kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"info": {"name": name, "dataType": f"QNN_DATATYPE_{kind}", "dimensions": shape}}


def elf(machine: int, text: str = "", size: int = 0) -> bytes:
    """Return a shared library of headers only, followed by `text` and `size` bytes of noise."""
    if machine == HEXAGON:
        head = struct.pack("<HHIIIIIHHHHHH", 3, machine, 1, 0, 0, 0, 0, 52, 0, 0, 0, 0, 0)
        ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    else:
        head = struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)
        ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    return ident + head + b"\0" + text.encode() + b"\0" + noise(size, text)


def noise(size: int, seed: str = "") -> bytes:
    """Return bytes that do not compress, the same ones for the same seed."""
    return hashlib.shake_128(seed.encode()).digest(size)


def sdk(root: Path, build_id: str = BUILD_ID, size: int = 1000) -> Path:
    """Write an SDK root with libraries of one build."""
    board, compiler = root / "lib/aarch64-ubuntu-gcc9.4", root / "lib/x86_64-linux-clang"
    hexagon = root / "lib/hexagon-v73/unsigned"
    for folder in (board, compiler, hexagon):
        folder.mkdir(parents=True, exist_ok=True)
    (compiler / "libQnnHtp.so").write_bytes(elf(X86_64, build_id))
    for name in ("libQnnHtp.so", "libQnnHtpV73Stub.so"):
        (board / name).write_bytes(elf(AARCH64, build_id, size))
    (board / "libQnnSystem.so").write_bytes(elf(AARCH64, build_id.rpartition(".")[2], size))
    (hexagon / "libQnnHtpV73Skel.so").write_bytes(elf(HEXAGON, build_id, size))
    (root / "LICENSE.pdf").write_bytes(b"a licence")
    (root / "sdk.yaml").write_text(f"version: {build_id.removeprefix('v')}\n")
    describe(root)
    return root


def describe(root: Path, takes: PictureInput = PLANES) -> None:
    """Let the SDK describe every context as one of a network that takes pictures so."""
    utility = root / "bin/x86_64-linux-clang/qnn-context-binary-utility"
    utility.parent.mkdir(parents=True, exist_ok=True)
    _written(utility, DESCRIBES.format(description=description(takes)).encode()).chmod(0o755)


def build(folder: Path, build_id: str = BUILD_ID, size: int = 1000, seed: str = "") -> Build:
    """Return a build of the digits network, its files written below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    context = folder / "dinov3_int8_htp.serialized.bin"
    context.write_bytes(CONTEXT_TEXT.format(build_id=build_id).encode() + noise(size, seed))
    reports = {name: _written(folder / f"{name}.json", text) for name, text in REPORTS.items()}
    return Build(
        name="dinov3_digits_int8_iq9075",
        model=catalog.models()["digits"],
        precision=catalog.precisions()["int8"],
        target=catalog.targets()["iq9075"],
        weights="random:0",
        context=context,
        takes=PLANES,
        sdk=sdk(folder / "sdk", build_id, size),
        reports=reports,
        host={"image": {"digest": f"sha256:{IMAGE}"}},
        runner=_written(folder / "dinov3-run", elf(AARCH64)),
    )


def pack(source: Build, path: Path) -> Path:
    """Write the archive of a build; its libraries of headers only need what real ones do."""
    with mock.patch.object(runtime, "needs", return_value=NEEDS):
        archive.write(path, source.name, items(source))
    return path


def package(
    folder: Path,
    *,
    runner: bytes = b"",
    size: int = 1000,
    seed: str = "",
    takes: PictureInput = PLANES,
) -> Path:
    """Write an archive in one go; with a `runner`, it also holds a golden input and output."""
    source = dataclasses.replace(build(folder, size=size, seed=seed), takes=takes)
    describe(source.sdk, takes)
    if runner:
        _written(source.runner, runner)
        picture = _written(folder / f"input{takes.suffix}", struct.pack("<4f", 1, 2, 3, 4))
        other = _written(folder / "output.raw", struct.pack("<4f", 4, 3, 2, 1))
        source = dataclasses.replace(source, golden=(picture, other))
    return pack(source, folder / f"{source.name}.tar.gz")


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
