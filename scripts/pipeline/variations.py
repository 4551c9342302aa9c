"""What differs between machines, brought about on one: each variation is one such difference."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.pipeline.container import Program
from scripts.pipeline.mount import Mount

EMULATOR = "qemu-x86_64-static"
# In memory, where a folder lists its newest entry first; ext4 and xfs sort by a hash or by age.
MEMORY = Path("/dev/shm")  # noqa: S108
# Older processors: the last without AVX-512 and AVX-VNNI. One without AVX2 makes the same files,
# except that ONNX Runtime's other kernels give `verify` other last digits (docs/image.md).
PROCESSORS = {"Haswell": "AVX2 and FMA"}
# Each library's own switch; ONNX Runtime has none. They reach the programs that a stage starts too.
UP_TO_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD,-ERMS",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
}
# What a library takes for the number of threads, where a machine has as many cores.
MANY_THREADS = dict.fromkeys(("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "7")


@dataclass(frozen=True)
class Variation:
    """Surroundings of a build; the default is how every build runs.

    `cpus` are the cores that a container may use, as Docker's --cpuset-cpus has them; `wrapper`
    precedes a stage's command; `umask` holds on the host; `parent` is where the build's folder is,
    if not beside the others.
    """

    name: str = "as it is"
    hostname: str = "dinov3-qnn"
    environment: Mapping[str, str] = field(default_factory=dict)
    cpus: str = ""
    wrapper: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    umask: int = 0o022
    parent: Path | None = None

    def applied(self, program: Program) -> Program:
        """Return a program as it runs in these surroundings."""
        return replace(
            program,
            command=[*self.wrapper, *program.command],
            mounts=[*program.mounts, *self.mounts],
            environment={**program.environment, **self.environment},
            hostname=self.hostname,
            cpus=self.cpus,
        )


AS_IT_IS = Variation()
ELSEWHERE = Variation("another folder, host name and umask", hostname="host-b", umask=0o077)


def every() -> Iterator[Variation]:
    """Yield every variation that this machine can bring about."""
    yield ELSEWHERE
    yield Variation("one core", cpus="0")
    yield Variation("7 threads", environment=MANY_THREADS)
    yield Variation("time zone 14 hours ahead", environment={"TZ": "AHEAD-14"})
    yield Variation("locale C", environment={"LC_ALL": "C", "LANG": "C"})
    yield Variation("umask 0077 in the container", wrapper=_shell('umask 0077; exec "$0" "$@"'))
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        yield Variation("directory order of a folder in memory", parent=MEMORY)
    yield Variation("libraries held to AVX2 by their own switches", environment=UP_TO_AVX2)
    if emulator := shutil.which(EMULATOR):
        yield from (_emulated(Path(emulator), name) for name in PROCESSORS)


def left_out() -> Iterator[str]:
    """Yield what is not varied on this machine, and what it needs."""
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        yield f"not varied: the order of directory entries; it needs {MEMORY}"
    if not shutil.which(EMULATOR):
        yield f"not varied: the processor; it needs {EMULATOR} (Debian: qemu-user-static)"


def _emulated(emulator: Path, processor: str) -> Variation:
    place = f"/emulator/{EMULATOR}"
    return Variation(
        f"processor {processor}: {PROCESSORS[processor]}, emulated",
        wrapper=_shell(f'exec {place} -cpu {processor} "$(command -v "$0")" "$@"'),
        mounts=(Mount(emulator.resolve(), place),),
    )


def _shell(script: str) -> tuple[str, ...]:
    """Return what runs a command through a line of shell, which has it as "$0" "$@"."""
    return ("sh", "-c", script)
