"""The container's promises, with a real engine."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.pipeline import container
from scripts.pipeline.build import Builder
from scripts.pipeline.container import LABEL, Mount, Outcome, Program
from scripts.source import ROOT

pytestmark = pytest.mark.image


def run(builder: Builder, code: str, **given: object) -> Outcome:
    command = ["python", "-c", code]
    mounts = [Mount(ROOT / "scripts", "/src/scripts"), *given.pop("mounts", [])]  # type: ignore[misc]
    program = Program(command=command, mounts=mounts, **given)  # type: ignore[arg-type]
    return container.run(builder.client, builder.image.id, program)


def containers_of(builder: Builder, pid: int) -> list[str]:
    owner = f"{LABEL}={socket.gethostname()}:{pid}"
    found = builder.client.containers.list(all=True, filters={"label": owner})
    return [str(one.id) for one in found]


@pytest.mark.parametrize("code", [0, 1, 16, 255])
def test_exit_code_is_the_programs_own(builder: Builder, code: int) -> None:
    outcome = run(builder, f"print('seen'); raise SystemExit({code})")
    assert outcome.exit_code == code
    assert "seen" in outcome.tail


@pytest.mark.parametrize(
    "code",
    [
        "open('/src/scripts/x', 'w')",
        "open('/opt/x', 'w')",
        "import socket; socket.create_connection(('127.0.0.1', 1), timeout=1)",
        "import os; os.setuid(12345)",
    ],
)
def test_what_a_stage_does_not_need_is_refused(builder: Builder, code: str) -> None:
    assert run(builder, code).exit_code == 1


def test_runs_as_the_caller_with_no_capabilities(builder: Builder) -> None:
    code = "import os; print(os.getuid(), os.getgid(), open('/proc/self/status').read())"
    tail = run(builder, code).tail
    assert "CapEff:\t0000000000000000" in tail
    assert "NoNewPrivs:\t1" in tail


def test_address_space_randomisation_can_be_switched_off(builder: Builder) -> None:
    code = "import ctypes; raise SystemExit(ctypes.CDLL(None).personality(0x0040000) < 0)"
    assert run(builder, code).exit_code == 0


def test_too_much_memory_is_said_to_be_that(builder: Builder) -> None:
    outcome = run(builder, "x = bytearray(10**9)", memory_bytes=200_000_000)
    assert outcome.out_of_memory


def test_a_full_disk_is_exit_code_10_in_words(builder: Builder, tmp_path: Path) -> None:
    code = (
        "import argparse, pathlib; from scripts.stages import program;"
        "program.run(lambda o: pathlib.Path('/dev/full').write_bytes(b'x'),"
        "argparse.Namespace(out=pathlib.Path('/out')))"
    )
    outcome = run(builder, code, mounts=[Mount(tmp_path, "/out", writable=True)])
    assert outcome.exit_code == 10
    assert "No space left" in outcome.tail


def test_an_engine_elsewhere_gets_copies_and_gives_results_back(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINOV3_QNN_MOUNTS", "copy")
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a").write_text("carried")
    code = "open('/out/b', 'w').write(open('/in/a').read() + ' back')"
    mounts = [Mount(tmp_path / "in", "/in"), Mount(tmp_path / "out", "/out", writable=True)]
    assert run(builder, code, mounts=mounts).exit_code == 0
    assert (tmp_path / "out" / "b").read_text() == "carried back"


_SLEEPER = """
from scripts.pipeline import container, session
made = session.builder()
container.run(made.client, made.image.id, container.Program(
    command=["python", "-c", "import time; print('up', flush=True); time.sleep(600)"]))
"""


def sleeper() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SLEEPER], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    while "up" not in process.stdout.readline():
        assert process.poll() is None
    return process


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_container(builder: Builder, sent: signal.Signals) -> None:
    process = sleeper()
    process.send_signal(sent)
    assert process.wait(timeout=60) != 0
    assert containers_of(builder, process.pid) == []


def test_the_container_of_a_killed_run_is_swept_by_the_next(builder: Builder) -> None:
    process = sleeper()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    time.sleep(0.2)
    assert len(containers_of(builder, process.pid)) == 1
    container.sweep(builder.client)
    assert containers_of(builder, process.pid) == []
