"""The command line as it is put together from options, and what becomes of errors."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from invoke import Context, Exit, Task
from requests.exceptions import ConnectionError as Disconnected

from scripts.console import Console
from scripts.errors import DiskFullError, EngineError, GateError, PipelineError, UsageError
from scripts.pipeline.command import BUILD, OUTPUT, UNREAD, command
from scripts.pipeline.request import Request
from scripts.source import ROOT

INVOKE = str(Path(sys.executable).with_name("invoke"))


def help_of(task: str) -> str:
    command = [INVOKE, "--help", task]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def flags_of(text: str) -> list[str]:
    flags = re.findall(r"^  (--\S+)", text, flags=re.MULTILINE)
    return [flag.replace("[no-]", "").partition("=")[0] for flag in flags]


def test_help_lists_every_option_in_order_with_its_default() -> None:
    text = help_of("build")
    options = [*BUILD.values(), *OUTPUT.values()]
    assert flags_of(text) == [entry.flag for entry in options]
    one_line = " ".join(text.split())
    for entry in options:
        assert entry.summary in one_line
    assert "--max-ms=MS" in text and "--[no-]gate" in text
    assert "[default: bookworm]" in one_line


def test_a_build_asks_for_the_network_first() -> None:
    order = ["model", "weights", "images", "heldout", "precision", "target", "build_dir"]
    assert [name for name in BUILD if name in order] == order


def test_a_task_has_its_own_parameters_first_and_its_own_defaults() -> None:
    text = help_of("bench")
    shared = ["--model", "--size", "--weights", "--target", "--lane", "--quiet", "--verbose"]
    assert flags_of(text) == ["--precisions", "--out", *shared]
    assert "[default: vith16plus]" in " ".join(text.split())


@pytest.mark.parametrize("task", ["doctor", "reproduce"])
def test_what_a_build_takes_can_be_tried_on_other_tasks(task: str) -> None:
    assert set(flags_of(help_of(task))) >= {entry.flag for entry in BUILD.values()} - {"--sign"}


def failing(error: BaseException) -> Task:  # type: ignore[type-arg]
    @command(output=OUTPUT)
    def fail(console: Console) -> None:
        """Fail."""
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (GateError("It missed."), GateError),
        (OSError(errno.ENOSPC, "No space left on device", "x"), DiskFullError),
        (Disconnected("refused"), EngineError),
    ],
)
def test_a_cause_is_a_sentence_and_an_exit_code(
    error: BaseException, cause: type[PipelineError], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exit) as ending:
        failing(error)(Context(), json=True)
    assert (ending.value.code, ending.value.message[:7]) == (cause.exit_code, "error: ")
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["exit_code"] == cause.exit_code


def test_an_interrupt_is_no_traceback() -> None:
    with pytest.raises(Exit) as ending:
        failing(KeyboardInterrupt())(Context())
    assert ending.value.code == 130


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())(Context())


def test_the_body_gets_a_checked_request(capsys: pytest.CaptureFixture[str]) -> None:
    @command(takes=("model", "build_dir"), output=OUTPUT)
    def show(console: Console, request: Request, word: str = "none") -> None:
        """Show."""
        console.result(f"{request.model.name} {request.root} {word}")

    show(Context(), model="digits", build_dir="/b", word="some", quiet=True)
    assert capsys.readouterr().out == "digits /b/digits some\n"
    with pytest.raises(Exit, match="no model 'x'"):
        show(Context(), model="x")


def test_the_environments_sdk_counts_where_a_task_takes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QAIRT_SDK_ROOT", str(tmp_path))
    (tmp_path / "sdk.yaml").write_text("")

    @command(takes=("sdk",))
    def show(console: Console, request: Request) -> None:
        """Show."""

    parameters = {argument.name: argument for argument in show.get_arguments()}
    assert parameters["sdk"].default == str(tmp_path)
    assert parameters["quiet"].default is False


def said(*words: str) -> subprocess.CompletedProcess[str]:
    command = [INVOKE, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words",
    [("inspect", "--help"), ("deploy", "-h"), ("build", "--images", "--help"), ("inspect", "x")],
)
def test_help_may_stand_behind_every_task(words: tuple[str, ...]) -> None:
    words = (*words, "--help") if "x" in words else words
    done = said(*words)
    assert (done.returncode, done.stdout) == (0, help_of(words[0]))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["biuld"], ["no task 'biuld'", "build is the nearest"]),
        (["--help", "biuld"], ["no task 'biuld'", "build is the nearest"]),
        (["build", "--modle", "x"], ["build has no option --modle", "--model is the nearest"]),
        (["build", "--model"], ["--model needs a value"]),
        (["build", "--model", "--sign"], ["--model needs a value"]),
        (["build", "--images", "--modle"], ["--images has the value --modle"]),
        (["build", "--model", "digits", "--model", "x"], ["what is 'x'?", "there twice"]),
        (["inspect"], ["inspect needs ARCHIVE", "`invoke inspect --help` lists"]),
        (["inspect", "x", "--quiet", "--verbose"], ["--quiet and --verbose contradict"]),
    ],
)
def test_a_command_line_that_cannot_be_read_is_a_usage_error(
    words: list[str], says: list[str]
) -> None:
    done = said(*words)
    assert (done.returncode, done.stdout) == (UsageError.exit_code, "")
    for text in says:
        assert text in done.stderr


def test_a_command_line_that_cannot_be_read_is_a_document_too() -> None:
    done = said("build", "--json", "--modle", "x")
    assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 2


@pytest.mark.parametrize("name", [name for name, entry in BUILD.items() if entry.metavar])
def test_no_option_of_a_build_is_empty(name: str) -> None:
    @command(takes=BUILD)
    def show(console: Console, request: Request) -> None:
        """Show."""

    for text in ("", " "):
        with pytest.raises(Exit, match=f"{BUILD[name].flag} has an empty value") as ending:
            show(Context(), **{name: text})
        assert ending.value.code == UsageError.exit_code


def test_no_parameter_of_a_task_is_empty() -> None:
    @command(help={"archive": "an archive"})
    def show(console: Console, archive: str, signers: str | None = None) -> None:
        """Show."""

    for texts in ({"archive": ""}, {"archive": "a", "signers": ""}):
        with pytest.raises(Exit, match="has an empty value"):
            show(Context(), **texts)


def test_help_whose_reader_has_seen_enough_ends_without_a_traceback() -> None:
    for arguments in (("--list",), ("build", "--help")):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [INVOKE, *arguments], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (UNREAD, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_closed_is_none_of_our_files(tmp_path: Path, closed: str) -> None:
    """What is opened next would have its number, and get what is printed."""
    program = """if True:
        import sys
        from pathlib import Path
        from scripts.pipeline import command
        with command._errors_in_words(), open(sys.argv[1], "w") as file:
            print("for the user")
            print("for the user", file=sys.stderr, flush=True)
            sys.stdout.flush()
            file.write(str(file.fileno()))
    """
    (file := tmp_path / "file").touch()
    line = f'exec "$0" -c "$1" "$2" {closed}'
    command = ["sh", "-c", line, sys.executable, program, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(file.read_text()) > 2


def test_a_name_in_an_error_steers_no_terminal(tmp_path: Path) -> None:
    said_of = said("build", "--images", str(tmp_path / "\x1b[2J\x07"))
    assert r"\x1b[2J\x07 is not there" in said_of.stderr
    assert "\x1b[2J" not in said_of.stderr


@pytest.mark.parametrize("words", [["--list"], ["build", "--help"], ["cache", "--build-dir={}"]])
def test_a_full_disk_of_standard_output_is_named(words: list[str], tmp_path: Path) -> None:
    command = [INVOKE, *(word.format(tmp_path) for word in words)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == DiskFullError.exit_code
    assert lines[0] == "error: Standard output cannot be written: No space left on device."
    assert "Exception" not in done.stderr.decode() and "build-dir" not in done.stderr.decode()
