"""Where `invoke test --only` runs what it is given, and when it is content."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import errors
from scripts.console import Console
from scripts.pipeline import session, suites

Codes = Callable[..., list[str]]
PASSED, FAILED, NOTHING = 0, 1, 5


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Codes:
    """Run something with exit codes for the host and the image, and return where it ran."""

    def call(tests: str, host: int = PASSED, image: int = PASSED) -> list[str]:
        places: list[str] = []

        def code(place: str, code: int) -> Callable[..., int]:
            def pytest_there(*_: object) -> int:
                places.append(place)
                return code

            return pytest_there

        monkeypatch.setattr(session, "builder", lambda _: None)
        monkeypatch.setattr(suites, "_on_host", code("host", host))
        monkeypatch.setattr(suites, "_code_in_image", code("image", image))
        suites.only(Console(), tests)
        return places

    return call


@pytest.mark.parametrize(
    ("tests", "places"),
    [
        ("tests/unit/test_errors.py", ["host"]),
        ("tests/unit/test_errors.py::test_message_has_cause_and_remedy", ["host"]),
        ("tests/unit/checkpoint/test_rope.py", ["host", "image"]),
        ("tests/unit/checkpoint", ["host", "image"]),
        ("tests/unit/openqnn/test_names.py", ["host"]),
        ("tests/chain/test_equal.py", ["image"]),
        ("toolchains/openqnn/tests/test_native.py", ["image"]),
        ("tests/image/test_layout.py", ["host"]),
    ],
)
def test_it_runs_where_it_belongs(run: Codes, tests: str, places: list[str]) -> None:
    assert run(tests) == places


def test_a_test_of_the_image_alone_is_none_on_the_host(run: Codes) -> None:
    assert run("tests/unit/checkpoint/test_rope.py", host=NOTHING) == ["host", "image"]


@pytest.mark.parametrize(("host", "image"), [(FAILED, PASSED), (PASSED, FAILED), (NOTHING,) * 2])
def test_a_failure_anywhere_counts_and_so_does_no_test_at_all(
    run: Codes, host: int, image: int
) -> None:
    with pytest.raises(errors.TestsFailedError, match="holds no test"):
        run("tests/unit/checkpoint/test_rope.py", host=host, image=image)


def test_a_file_that_is_not_there_is_named(run: Codes) -> None:
    with pytest.raises(errors.UsageError, match="nothing_here"):
        run("tests/unit/nothing_here.py")


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], suites.Suite]:
    """Make a suite of a name that is a shell script."""
    monkeypatch.setattr(suites, "BIN", Path("/bin"))
    return lambda name, script: suites.Suite(name, ("sh", "-c", script))


def test_two_suites_run_at_once(suite: Callable[..., suites.Suite], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # whoever opens it waits for the other side
    both = (suite("left", f"echo x >{fifo}"), suite("right", f"cat {fifo}"))
    suites._side_by_side(Console(), both)


def test_what_suites_print_is_shown_whole_and_every_one_is_brought_to_its_end(
    suite: Callable[..., suites.Suite], capsys: pytest.CaptureFixture[str]
) -> None:
    failing = suite("bad", "echo one; sleep 0.2; echo two >&2; exit 1")
    with pytest.raises(errors.TestsFailedError, match="bad failed"):
        suites._side_by_side(Console(), (failing, suite("good", "sleep 0.1; echo three")))
    shown = capsys.readouterr().out
    assert "one\ntwo\n" in shown and "three\n" in shown


def test_what_keeps_the_image_away_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(_: Console) -> None:
        raise errors.EngineError("There is no engine.")

    monkeypatch.setattr(session, "builder", none)
    assert suites.main(["tests"]) == errors.EngineError.exit_code
    assert "There is no engine." in capsys.readouterr().out
