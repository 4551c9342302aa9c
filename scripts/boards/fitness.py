"""Whether a package fits a board: every reason against it, with both sides and the fix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.boards.devices import Device
from scripts.boards.probe import Facts, Skel
from scripts.errors import MismatchError
from scripts.htp.elf import number
from scripts.package.manifest import Manifest

_ARCH = "aarch64"
# Room that stays free on the board's disk, for the file system's own needs. In bytes.
_MARGIN = 4 << 20


@dataclass(frozen=True)
class Refusal:
    """One reason: what it is about, what the package needs, what the board has, what mends it."""

    about: str
    package: str
    board: str
    fix: str

    def __str__(self) -> str:
        return (
            f"  {self.about}: the package needs {self.package}; the board has {self.board}\n"
            f"    fix: {self.fix}"
        )


def check(device: Device, facts: Facts, manifest: Manifest, size: int) -> None:
    """Refuse a package that cannot run on a board; `size` is what it takes of its disk, in bytes.

    Raises:
        MismatchError: with every reason, each with both sides and a fix.
    """
    found = [*refusals(device, facts, manifest), *_space(device, facts, size)]
    if found:
        reasons = "\n".join(str(one) for one in found)
        raise MismatchError(f"{manifest.name} does not fit {device.name}:\n{reasons}")


def refusals(device: Device, facts: Facts, manifest: Manifest) -> Iterator[Refusal]:
    """Yield every reason why a package cannot run on a board, disk space apart."""
    target, needs = manifest.facts["target"], manifest.facts["needs"]
    if facts.arch != _ARCH:
        yield Refusal("architecture", _ARCH, facts.arch or "none it tells", "deploy to a board")
    yield from _soc(device, facts, target["socs"], target["name"])
    if not facts.glibc or number(facts.glibc) < number(needs["glibc"]):
        fix = "install a newer system image on the board"
        yield Refusal("C library", f"glibc {needs['glibc']}", facts.glibc or "no glibc", fix)
    for library in needs["libraries"]:
        if library not in facts.libraries:
            yield _library(library, facts)
    yield from _skel(device, facts, manifest.build_id)
    if facts.missing:
        commands = ", ".join(facts.missing)
        yield Refusal("commands", commands, "none of them", "install coreutils and util-linux")


def remarks(facts: Facts, manifest: Manifest) -> Iterator[str]:
    """Yield what is no reason to refuse, and yet worth knowing."""
    if not manifest.facts["accuracy"].get("gate_applied", True):
        yield "the package was built with --no-gate: nobody says that it is faithful to float32"
    if not facts.nodes:
        shut = f": {', '.join(facts.denied)} is shut to this user" if facts.denied else ""
        yield f"no FastRPC device node can be opened{shut} (group fastrpc, cDSP running?)"
    for variable, value in facts.search.items():
        if ":" in value and ";" not in value:
            yield f"{variable}={value} is one folder name to FastRPC: it separates by semicolons"
    for skel in facts.skels:
        if not skel.variable and skel.build_id != manifest.build_id:
            yield f"{skel.path} is of build {skel.build_id}; the release's own comes before it"


def _soc(device: Device, facts: Facts, accepted: list[str], target: str) -> Iterator[Refusal]:
    names = {name.upper() for name in accepted}
    package = f"one of {', '.join(accepted)} (target {target})"
    if device.soc and device.soc.upper() not in names:
        fix = f"build for this board with --target, or correct soc of {device.name}"
        yield Refusal("SoC", package, f"{device.soc} by devices.toml", fix)
    told = {name.upper() for name in facts.socs}
    if not names & told:
        board = ", ".join(facts.socs) or "none it tells"
        yield Refusal("SoC", package, board, "build for this board with --target")


def _library(name: str, facts: Facts) -> Refusal:
    similar = sorted(one for one in facts.libraries if one.startswith(f"{name}."))
    if similar:
        fix = f"on the board, beside it: ln -s {similar[0]} {name}"
        return Refusal("library", name, f"only {similar[0]}", fix)
    packages = {"libcdsprpc.so": "FastRPC (Ubuntu: qcom-fastrpc1, Yocto: fastrpc)"}
    fix = f"install {packages.get(name, name)} on the board"
    return Refusal("library", name, "no such library", fix)


def _skel(device: Device, facts: Facts, build_id: str) -> Iterator[Refusal]:
    """A skel of another build that FastRPC would load before the package's own, or instead."""
    loaded = _first_in_environment(facts)
    if device.skel == "board":
        loaded = loaded or next(iter(facts.skels), None)
        if loaded is None:
            fix = 'set skel = "package" in devices.toml, or install the board\'s skel'
            yield Refusal("skel", f"the board's, of QNN {build_id}", "none", fix)
    if loaded and loaded.build_id != build_id:
        board = f"{loaded.path} of QNN {loaded.build_id or 'unknown'}"
        fix = (
            f"take its folder out of {loaded.variable} on the board, or build with that SDK: --sdk"
        )
        if not loaded.variable:
            fix = "build with the SDK of the board's image (--sdk), or update that image"
        yield Refusal("QNN build", f"QNN {build_id}", board, fix)


def _first_in_environment(facts: Facts) -> Skel | None:
    """DSP_LIBRARY_PATH comes before ADSP_LIBRARY_PATH; the probe lists skels in that order."""
    return next((skel for skel in facts.skels if skel.variable), None)


def _space(device: Device, facts: Facts, size: int) -> Iterator[Refusal]:
    if not facts.writable:
        fix = f"as root: install -d -o {device.user} {device.path}"
        yield Refusal("folder", f"{device.path}, writable", "no right to write there", fix)
    if size + _MARGIN > facts.free:
        needed, free = f"{(size + _MARGIN) / 1e6:.1f} MB", f"{facts.free / 1e6:.1f} MB"
        fix = f"remove files, or lower keep of {device.name} in devices.toml"
        yield Refusal("disk space", needed, f"{free} free", fix)
