"""Every way this project refuses or fails, one class a cause, each with its own exit code.

A message says what failed, what usually causes it, and the command or option that mends it.
Domain code raises; only `tasks.py` and `scripts/program.py` print and exit.
"""

from __future__ import annotations

import errno


class PipelineError(Exception):
    """Base of all errors that are a user's to read; never shown as a traceback."""

    exit_code = 1

    def __init__(self, what: str, *, cause: str = "", remedy: str = "") -> None:
        self.what, self.cause, self.remedy = what, cause, remedy
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  usual cause: {self.cause}"] if self.cause else []
        lines += [f"  what to do:  {self.remedy}"] if self.remedy else []
        return "\n".join(lines)


class UsageError(PipelineError):
    """An unknown model, precision or target, or options that contradict each other."""

    exit_code = 2


class CheckpointError(PipelineError):
    """A checkpoint is missing, truncated, or not a DINOv3 model."""

    exit_code = 3


class GatedModelError(PipelineError):
    """The hub wants an accepted licence and a token."""

    exit_code = 4


class ImageFileError(PipelineError):
    """A calibration or held-out picture cannot be read."""

    exit_code = 5


class CalibrationError(PipelineError):
    """The calibration set as a whole is unfit: too few, constant or duplicate pictures."""

    exit_code = 6


class EngineError(PipelineError):
    """No container engine answers, or it cannot do what is needed."""

    exit_code = 7


class ImageBuildError(PipelineError):
    """The build image could not be made, or its pins cannot be met."""

    exit_code = 8


class SdkError(PipelineError):
    """The SDK root in force is of the wrong version or lacks a file."""

    exit_code = 9


class DiskFullError(PipelineError):
    """The disk filled up; everything built before is still whole."""

    exit_code = 10


class OutOfMemoryError(PipelineError):
    """The kernel ended a stage for its memory."""

    exit_code = 11


class StageError(PipelineError):
    """A stage's program ended with an error that it could not name."""

    exit_code = 12


class ArtefactError(PipelineError):
    """An artefact is missing, truncated, or not what its manifest says."""

    exit_code = 13


class ConversionError(PipelineError):
    """A graph cannot be quantised or converted."""

    exit_code = 14


class CompileError(PipelineError):
    """Qualcomm's compiler, or a C++ compiler, refused its input."""

    exit_code = 15


class GateError(PipelineError):
    """The compiled model is not faithful enough to fp32."""

    exit_code = 16


class ReproducibilityError(PipelineError):
    """Two builds of the same inputs differ."""

    exit_code = 17


class ElfError(PipelineError):
    """A produced ELF file breaks the target's ABI contract."""

    exit_code = 18


class TestsFailedError(PipelineError):
    """A test suite, the linter or the type checker found something."""

    exit_code = 19


class DeviceError(PipelineError):
    """A board cannot be reached or refuses."""

    exit_code = 20


class HostKeyError(DeviceError):
    """A board's host key is unknown or has changed."""

    exit_code = 21


class MismatchError(DeviceError):
    """A package does not fit the board it is meant for."""

    exit_code = 22


class TransferError(DeviceError):
    """An upload was cut or arrived damaged."""

    exit_code = 23


INTERRUPTED = 130


def from_os_error(error: OSError) -> PipelineError | None:
    """Return the named error behind an `OSError`, or None where it is not one we can explain."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"No space left on the device while writing {error.filename or 'an artefact'}.",
            cause="an 840 M parameter model needs about 20 GB under build/",
            remedy="free space or give --build-dir on a larger disk; finished stages are kept",
        )
    return None


def with_exit_code(code: int) -> type[PipelineError]:
    """Return the class of a stage's exit code, `StageError` for one that is not ours."""
    pending = [PipelineError]
    while pending:
        cls = pending.pop()
        if cls.exit_code == code and cls is not PipelineError:
            return cls
        pending += cls.__subclasses__()
    return StageError
