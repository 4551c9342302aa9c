import errno

from scripts import errors
from scripts.errors import PipelineError


def subclasses(cls: type[PipelineError]) -> set[type[PipelineError]]:
    return {found for sub in cls.__subclasses__() for found in {sub} | subclasses(sub)}


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
    assert errors.from_os_error(OSError(errno.EACCES, "no")) is None
