"""Every way this project refuses or fails, one class a cause, each with its own exit code.

A message says what failed, what usually causes it, and the command or option that mends it.
Domain code raises; only `tasks.py` and `scripts/program.py` print and exit.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path


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
    """A command line that cannot be meant: an unknown name, a wrong value, a contradiction."""

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
    # What pictures are of which this can be said, as they are counted.
    kind = "that cannot be read"


class CalibrationError(PipelineError):
    """The pictures as a whole are unfit: none of use, files gone, or not of the network's size."""

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
    # The folder of what was measured, where a stage left any.
    measured: Path | None = None


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
    # Whether the board, or a server on the way to it, let us in at all.
    is_reached = True


class HostKeyError(DeviceError):
    """A board's host key is unknown or has changed."""

    exit_code = 21
    is_reached = False


class MismatchError(DeviceError):
    """A package does not fit the board it is meant for."""

    exit_code = 22


class TransferError(DeviceError):
    """An upload was cut or arrived damaged."""

    exit_code = 23


class AccessError(PipelineError):
    """A file or folder of this machine cannot be read or written."""

    exit_code = 24


class KeyFileError(PipelineError):
    """A key to sign with, or a list of allowed signers, is missing or is none."""

    exit_code = 25


class SignatureError(PipelineError):
    """An archive is not signed by one of those who may sign it, or was changed since."""

    exit_code = 26


class SweepError(PipelineError):
    """Points of a sweep failed, missed their gates or were not tried on all of its boards."""

    exit_code = 27


class ClusterError(PipelineError):
    """The scheduler or the hosts of a sweep cannot be reached, or went away."""

    exit_code = 28


INTERRUPTED = 130
INTERRUPTION = "interrupted; finished stages are kept"


def named(error: BaseException) -> PipelineError | None:
    """Return the error of ours behind one that the system or the container engine raised.

    None where it is a fault of the program, which a traceback explains best. The packages of the
    engine's client are recognised by name: the build image does not have them.
    """
    if isinstance(error, PipelineError):
        return error
    packages = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    if packages & {"docker", "requests", "urllib3", "paramiko"}:
        return _from_engine(error)
    if isinstance(error, MemoryError):
        return OutOfMemoryError("The memory is used up.", remedy="see `invoke doctor`")
    if isinstance(error, OSError) and error.errno is not None:
        return from_os_error(error) or AccessError(
            f"{_where(error)}: {error.strerror}.",
            cause="a file stands where a folder should, or something was removed meanwhile",
            remedy="`ls -ld` shows what is there; then run the same command again",
        )
    return None


def from_os_error(error: OSError) -> PipelineError | None:
    """Return the named error of a full disk or a refused access, None where it is neither."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"No space left on the device while writing {error.filename or 'a file'}.",
            cause="other builds, images and caches; `invoke doctor` says what a build needs",
            remedy="free space there, or give --build-dir on a larger disk; what is whole is kept",
        )
    if error.errno == errno.EROFS:
        return AccessError(
            f"{_where(error)} is on a read-only file system.",
            remedy="give --build-dir a folder that can be written to",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessError(
            f"{_where(error)}: permission denied.",
            cause="it belongs to another user, for example of an earlier run with sudo",
            remedy="`chown -R $(id -u) FOLDER` as its owner, or give another --build-dir",
        )
    return None


def _where(error: OSError) -> str:
    return str(error.filename2 or error.filename or "A file")


_REASONS: dict[type[OSError], str] = {
    FileNotFoundError: "there is no such socket",
    PermissionError: "you may not use it",
    ConnectionRefusedError: "nobody listens there",
    ConnectionResetError: "the connection broke",
    BrokenPipeError: "the connection broke",
    TimeoutError: "no answer in time",
    socket.gaierror: "the name of its machine is not known",
}


def reason(error: BaseException) -> str:
    """Return why a connection failed, in words, from whatever a client wrapped around it."""
    text, pending = "", [error]
    for inner in pending:  # grows
        if isinstance(inner, OSError) and inner.errno is not None:
            words = (words for cls, words in _REASONS.items() if isinstance(inner, cls))
            return next(words, inner.strerror or str(inner))
        if "timeout" in type(inner).__name__.lower():
            return _REASONS[TimeoutError]
        behind = (inner.__cause__, inner.__context__, getattr(inner, "reason", None), *inner.args)
        causes = (cause for cause in behind if isinstance(cause, BaseException))
        pending += [cause for cause in causes if cause not in pending]
        text = text or str(inner)
    return text.removeprefix("Error while fetching server API version: ")


def _from_engine(error: BaseException) -> PipelineError:
    """Name what the engine's client raised: the engine refused, or it went away."""
    text = str(getattr(error, "explanation", None) or reason(error))
    if "no space left on device" in text.lower():
        return DiskFullError(
            f"The disk of the container engine is full: {text}.",
            cause="images and caches of other builds, under /var/lib/docker as a rule",
            remedy="`docker system df` shows what takes the space, `docker system prune` frees it",
        )
    if getattr(error, "response", None) is not None:
        return EngineError(
            f"The container engine refuses: {text}.",
            cause="an image or a container was removed meanwhile, or a restriction of this engine",
            remedy="try again; `invoke doctor` looks at the engine",
        )
    return EngineError(
        f"The container engine does not answer any more: {text}.",
        cause="it was stopped or restarted, or the connection to it broke",
        remedy="start it and run the same command again; finished stages are kept",
    )


def with_exit_code(code: int) -> type[PipelineError]:
    """Return the class of a stage's exit code, `StageError` for one that is not ours."""
    pending = [PipelineError]
    while pending:
        cls = pending.pop()
        if cls.exit_code == code and cls is not PipelineError:
            return cls
        pending += cls.__subclasses__()
    return StageError
