"""Qualcomm's compiler in an SDK root, which a package and its provenance name."""

from __future__ import annotations

from pathlib import Path

from scripts import digests
from scripts.errors import SdkError
from scripts.package import build_id

COMPILER = "lib/x86_64-linux-clang/libQnnHtp.so"


def build_id_of(sdk: Path) -> str:
    """Return the build id of an SDK root's compiler.

    Raises:
        SdkError: the compiler is missing or carries no build id.
    """
    compiler = sdk / COMPILER
    name = build_id.find(compiler) if compiler.is_file() else None
    if name is None:
        raise SdkError(
            f"{compiler} is missing or carries no build id.",
            cause="--sdk is not the root of an SDK",
            remedy="give the folder that holds bin/, lib/ and sdk.yaml",
        )
    return name


def named(sdk: Path) -> dict[str, str]:
    """Return what names an SDK root's compiler: its build id, and its library's SHA-256.

    Raises:
        SdkError: as `build_id_of`.
    """
    return {"build_id": build_id_of(sdk), "sha256": digests.of_file(sdk / COMPILER)}
