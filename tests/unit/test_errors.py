import errno

import pytest
import requests
from docker.errors import APIError, DockerException
from urllib3.exceptions import ProtocolError

from scripts import errors
from scripts.errors import PipelineError


def subclasses(cls: type[PipelineError]) -> set[type[PipelineError]]:
    return {kind for sub in cls.__subclasses__() for kind in {sub} | subclasses(sub)}


def test_every_cause_has_an_exit_code_of_its_own() -> None:
    codes = [cls.exit_code for cls in subclasses(PipelineError)]
    assert len(codes) == len(set(codes))
    assert all(1 < code < 126 for code in codes)


def test_a_code_names_its_class_and_a_strange_one_is_a_stage_error() -> None:
    for cls in subclasses(PipelineError):
        assert errors.with_exit_code(cls.exit_code) is cls
    assert errors.with_exit_code(77) is errors.StageError


def test_message_has_cause_and_remedy() -> None:
    text = str(errors.UsageError("It failed.", cause="a typo", remedy="try again"))
    assert text.splitlines()[0] == "It failed."
    assert "a typo" in text
    assert "try again" in text


def test_a_full_disk_is_said_in_words() -> None:
    named = errors.from_os_error(OSError(errno.ENOSPC, "No space left on device", "x.onnx_data"))
    assert isinstance(named, errors.DiskFullError)
    assert "x.onnx_data" in str(named)
    assert errors.from_os_error(OSError(errno.EINVAL, "no")) is None


FULL = "write /var/lib/docker/tmp/x: no space left on device"


def refusal(status: int, text: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError(f"{status} Server Error", response, text)


@pytest.mark.parametrize(
    ("error", "cls", "says"),
    [
        (OSError(errno.ENOSPC, "No space left", "x"), errors.DiskFullError, "x"),
        (OSError(errno.EDQUOT, "Quota exceeded", "x"), errors.DiskFullError, "x"),
        (OSError(errno.EROFS, "Read-only", "/a/b"), errors.AccessError, "/a/b is on a read-only"),
        (PermissionError(errno.EACCES, "no", "/a/b"), errors.AccessError, "another user"),
        (PermissionError(errno.EPERM, "no", "/a/b"), errors.AccessError, "another user"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a"), errors.AccessError, "/a: Not"),
        (OSError(errno.EIO, "Input/output error"), errors.AccessError, "Input/output error"),
        (MemoryError(), errors.OutOfMemoryError, "memory"),
        (refusal(500, FULL), errors.DiskFullError, "container engine is full"),
        (refusal(404, "no such image"), errors.EngineError, "refuses: no such image"),
        (DockerException("connection aborted"), errors.EngineError, "does not answer any more"),
        (requests.ConnectionError("reset by peer"), errors.EngineError, "does not answer any more"),
        (requests.ReadTimeout("timed out"), errors.EngineError, "does not answer any more"),
        (ProtocolError("cut short"), errors.EngineError, "does not answer any more"),
        (errors.UsageError("ours"), errors.UsageError, "ours"),
    ],
)
def test_what_system_and_engine_raise_has_a_name(
    error: BaseException, cls: type[PipelineError], says: str
) -> None:
    named = errors.named(error)
    assert type(named) is cls
    assert says in str(named)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ProtocolError("Connection aborted.", ConnectionResetError(104, "x")), "connection broke"),
        (requests.ConnectionError(ProtocolError("x", PermissionError(13, "x"))), "may not use it"),
        (requests.ReadTimeout("HTTPConnectionPool(host='x')"), "no answer in time"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host"),
    ],
)
def test_the_reason_is_found_in_what_a_client_wrapped_around_it(
    error: BaseException, says: str
) -> None:
    assert says in errors.reason(error)
    assert "HTTPConnection" not in errors.reason(error)


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), AssertionError(), OSError("x")])
def test_a_fault_of_the_program_keeps_its_traceback(error: Exception) -> None:
    assert errors.named(error) is None
