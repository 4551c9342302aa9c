"""The ABI gate: each way a model library can be wrong is refused with its own words."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.htp import elf, modellib, sdk
from scripts.htp.elf import Elf

SURFACE = modellib.surface()
GOOD = Elf(
    machine="aarch64",
    bits=64,
    kind="shared",
    soname="libm.so",
    needed=("libstdc++.so.6", "libc.so.6"),
    rpath=(),
    versions={"GLIBC": "2.17", "GLIBCXX": "3.4.21"},
    exports=SURFACE.exports,
    imports=frozenset({"malloc", "_Znwm", "_ZNSt7__cxx1112basic_stringIcE", "_ITM_x"}),
    symbols=frozenset(),
)


def violations(**changes: Any) -> list[str]:
    abi = elf.load_abi(modellib.TOOLCHAINS / modellib.FOLDERS[sdk.DEVICE] / "abi.toml")
    return list(modellib.violations(dataclasses.replace(GOOD, **changes), abi, SURFACE))


def test_a_right_library_passes() -> None:
    assert violations() == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"machine": "x86_64"}, "is 64-bit x86_64, not 64-bit aarch64"),
        ({"bits": 32}, "is 32-bit aarch64"),
        ({"kind": "executable"}, "not a shared library"),
        ({"versions": {"GLIBC": "2.36"}}, "needs GLIBC_2.36, past the ceiling GLIBC_2.35"),
        ({"versions": {"GLIBCXX": "3.4.30"}}, "past the ceiling GLIBCXX_3.4.29"),
        ({"versions": {"CXXABI": "1.3.14"}}, "past the ceiling CXXABI_1.3.13"),
        ({"needed": ("libQnnHtp.so",)}, "outside the contract: libQnnHtp.so"),
        ({"rpath": ("$ORIGIN", "/opt")}, "a search path of its own: $ORIGIN:/opt"),
        ({"exports": SURFACE.exports - {"QNN_SDK_VERSION"}}, "does not export QNN_SDK_VERSION"),
        ({"exports": SURFACE.exports | {"leak"}}, "exports more than a model has: leak"),
        ({"imports": frozenset({"QnnGraph_create"})}, "outside the runtime: QnnGraph_create"),
        ({"imports": frozenset({"_ZN8QnnModelC1Ev"})}, "outside the runtime: _ZN8QnnModelC1Ev"),
        ({"imports": frozenset({"_binary_obj_binary_w_raw_start"})}, "_binary_obj_binary_w"),
    ],
)
def test_each_breach_has_its_words(changes: dict[str, Any], says: str) -> None:
    (violation,) = violations(**changes)
    assert says in violation


def test_many_names_are_cut_short() -> None:
    (violation,) = violations(imports=frozenset(f"symbol{i}" for i in range(9)))
    assert violation.endswith("symbol4 and 4 more")


def test_every_target_has_a_contract() -> None:
    for folder in modellib.FOLDERS.values():
        assert elf.load_abi(modellib.TOOLCHAINS / folder / "abi.toml").ceilings
