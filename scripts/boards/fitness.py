"""Whether a package fits a board: every reason against it, with both sides and the fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts.boards import shell
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
        return f"{self.about}: the package needs {self.package}; the board has {self.board}"


def check(device: Device, facts: Facts, manifest: Manifest, size: int) -> None:
    """Refuse a package that cannot run on a board; `size` is what it takes of its disk, in bytes.

    Raises:
        MismatchError: with every reason, each with both sides and a fix.
    """
    against = [*refusals(device, facts, manifest), *_space(device, facts, size)]
    require_none(f"{manifest.name} does not fit {device.name}", against)


def require_none(what: str, refusals: Iterable[Refusal]) -> None:
    """Raise one error of all refusals, if there is any: their reasons, and what mends each.

    Raises:
        MismatchError: there is one.
    """
    if against := list(refusals):
        reasons = "".join(f"\n  {refusal}" for refusal in against)
        raise MismatchError(f"{what}:{reasons}", remedy=_remedy(against))


def _remedy(refusals: Sequence[Refusal]) -> str:
    fixes: dict[str, str] = {}
    for refusal in refusals:
        fixes.setdefault(refusal.fix, refusal.about)
    if len(fixes) == 1:
        return refusals[0].fix
    return "; ".join(f"{about}: {fix}" for fix, about in fixes.items())


def refusals(device: Device, facts: Facts, manifest: Manifest) -> Iterator[Refusal]:
    """Yield every reason why a package cannot run on a board, disk space apart."""
    target, needs = manifest.facts["target"], manifest.facts["needs"]
    if facts.arch != _ARCH:
        yield Refusal(
            "architecture", _ARCH, facts.arch or "none it tells", "give it the address of a board"
        )
    yield from declared_soc(device, target["socs"], target["name"])
    yield from soc(facts, target["socs"], target["name"])
    if not facts.glibc or number(facts.glibc) < number(needs["glibc"]):
        fix = "install a newer system image on the board"
        yield Refusal("C library", f"glibc {needs['glibc']}", facts.glibc or "no glibc", fix)
    linked = {PurePosixPath(path).name for path in links(facts, manifest)}
    for library in needs["libraries"]:
        if library not in facts.libraries and library not in linked:
            yield _library(library)
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
    for path, target in links(facts, manifest).items():
        yield f"there is {target} alone: the release gets a link to it, {path}"
    for variable, value in facts.search.items():
        if ":" in value and ";" not in value:
            yield f"{variable}={value} is one folder name to FastRPC: it separates by semicolons"
    for skel in facts.skels:
        if not skel.variable and skel.build_id != manifest.build_id:
            yield f"{skel.path} is of build {skel.build_id}; the release's own comes before it"


def declared_soc(device: Device, accepted: Sequence[str], target: str) -> Iterator[Refusal]:
    """Yield a refusal where devices.toml says that a board is none of a target's SoCs."""
    if device.soc and device.soc.upper() not in _upper(accepted):
        fix = f"build for this board with --target, or correct soc of {device.name}"
        yield Refusal("SoC", _one_of(accepted, target), f"{device.soc} by devices.toml", fix)


def soc(facts: Facts, accepted: Sequence[str], target: str) -> Iterator[Refusal]:
    """Yield a refusal where a board itself says that it is none of a target's SoCs."""
    if not _upper(accepted) & _upper(facts.socs):
        board = ", ".join(facts.socs) or "none it tells"
        yield Refusal("SoC", _one_of(accepted, target), board, "build for this board with --target")


def _upper(names: Sequence[str]) -> set[str]:
    return {name.upper() for name in names}


def _one_of(accepted: Sequence[str], target: str) -> str:
    return f"one of {', '.join(accepted)} (target {target})"


def links(facts: Facts, manifest: Manifest) -> dict[str, str]:
    """Return the links that a release needs to run, each with the file of the board it leads to.

    Where a library is there under its numbered name alone, e.g. `libcdsprpc.so.1`, programs look
    for the other name in the release's own `lib` first.
    """
    targets = {}
    for name in manifest.facts["needs"]["libraries"]:
        numbered = sorted(other for other in facts.libraries if other.startswith(f"{name}."))
        if name.endswith(".so") and name not in facts.libraries and numbered:
            targets[f"lib/{name}"] = facts.libraries[numbered[0]]
    return {path: target for path, target in targets.items() if shell.is_plain(target[1:])}


def _library(name: str) -> Refusal:
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
    elsewhere = f"or another path of {device.name} in devices.toml"
    if "Read-only file system" in facts.unwritable:
        fix = f"as root: mount -o remount,rw, {elsewhere}"
        yield Refusal("folder", f"{device.path}, writable", "a read-only file system there", fix)
    elif not facts.writable and "No space left" not in facts.unwritable:
        fix = f"as root: install -d -o {device.user} {device.path}, {elsewhere}"
        yield Refusal("folder", f"{device.path}, writable", "no right to write there", fix)
    elif facts.writable and not facts.executable:
        fix = f"as root: mount -o remount,exec, {elsewhere}"
        yield Refusal(
            "folder", f"{device.path}, to run programs in", "a mount that is noexec there", fix
        )
    if size + _MARGIN > facts.free:
        needed, free = f"{(size + _MARGIN) / 1e6:.1f} MB", f"{facts.free / 1e6:.1f} MB"
        fix = f"remove files, or lower keep of {device.name} in devices.toml"
        yield Refusal("disk space", needed, f"{free} free", fix)
