"""The container's promises, with a real engine."""

import json
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest

from scripts.pipeline import container, engine, owner
from scripts.pipeline.build import Builder
from scripts.pipeline.container import Mount, Outcome, Program
from scripts.source import ROOT

pytestmark = pytest.mark.image


def run(builder: Builder, code: str, **settings: object) -> Outcome:
    command = ["python", "-c", code]
    mounts = [Mount(ROOT / "scripts", "/src/scripts"), *settings.pop("mounts", [])]  # type: ignore[misc]
    program = Program(command=command, mounts=mounts, **settings)  # type: ignore[arg-type]
    return container.run(builder.client, builder.image.id, program)


def containers_of(builder: Builder, label: str) -> list[str]:
    filters = {"label": f"{owner.LABEL}={label}"}
    return [
        str(container["Id"])
        for container in builder.client.api.containers(all=True, filters=filters)
    ]


@contextmanager
def listener(address: str) -> Iterator[int]:
    """A server that can be reached at an address of this machine; yields its port."""
    with socketserver.TCPServer((address, 0), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


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
        "import os; os.setuid(12345)",
    ],
)
def test_what_a_stage_does_not_need_is_refused(builder: Builder, code: str) -> None:
    assert run(builder, code).exit_code == 1


def test_only_a_program_with_a_network_reaches_what_can_be_reached(builder: Builder) -> None:
    """The listener answers on the bridge that a container with a network is on."""
    network = builder.client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    bridge = str(next(ip_network(network["Subnet"]).hosts()))
    with listener(bridge) as port:
        code = f"import socket; socket.create_connection(({bridge!r}, {port}), timeout=5)"
        assert run(builder, code, network="bridge").exit_code == 0
        refused = run(builder, code)
    assert refused.exit_code == 1
    assert "Network is unreachable" in refused.tail


SECRET = "hf_0123456789"
READS_SECRET = """
import os, pathlib, time
print("up", flush=True)
file = pathlib.Path(os.environ["HF_TOKEN_PATH"])
mount, = (line.split() for line in open("/proc/mounts") if line.split()[1] == str(file.parent))
print(mount[2], oct(file.stat().st_mode & 0o777), file.read_text() == "hf_" + "0123456789")
time.sleep(float(os.environ["WAIT"]))
"""


def test_private_files_reach_the_program_in_memory_and_no_configuration(builder: Builder) -> None:
    private = {
        "token": SECRET.encode(),
        "environment": b"export WAIT=2 HF_TOKEN_PATH=/run/private/token\n",
    }
    configurations: list[str] = []

    def look() -> None:
        while not (ids := containers_of(builder, owner.label())):
            time.sleep(0.05)
        time.sleep(1)
        configurations.append(json.dumps(builder.client.api.inspect_container(ids[0])))

    looking = threading.Thread(target=look)
    looking.start()
    outcome = run(builder, READS_SECRET, private=private)
    looking.join()
    assert "tmpfs 0o600 True" in outcome.tail
    assert configurations and SECRET not in configurations[0]
    assert SECRET not in repr(Program(command=[], private=private))


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


def test_what_a_program_prints_is_shown_in_its_order(builder: Builder) -> None:
    code = "import os; [os.write(1 + n % 2, f'{n}\\n'.encode()) for n in range(1000)]"
    assert run(builder, code).tail.split() == [str(n) for n in range(985, 1000)]


def test_a_full_disk_is_exit_code_10_in_words(builder: Builder, tmp_path: Path) -> None:
    code = (
        "import argparse, pathlib; from scripts import program;"
        "program.run(lambda o: pathlib.Path('/dev/full').write_bytes(b'x'),"
        "argparse.Namespace(out=pathlib.Path('/out')))"
    )
    outcome = run(builder, code, mounts=[Mount(tmp_path, "/out", writable=True)])
    assert outcome.exit_code == 10
    assert "No space left" in outcome.tail


ARRIVED = """
import hashlib, pathlib, shutil
files = sorted(path for path in pathlib.Path('/in').rglob('*') if path.is_file())
for path in files:
    print(path.relative_to('/in'), path.read_text())
print(pathlib.Path('/alone/file').read_text())
shutil.copytree('/in', '/out', dirs_exist_ok=True)
"""
NAMES = (
    "a",
    "build-site.jpg",
    ".gitter.jpg",
    ".git/x",
    "build/x",
    ".venv/x",
    ".cache/x",
    "b b/\xe4",
)


def test_an_engine_elsewhere_gets_all_that_was_asked_for_and_gives_it_back(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(engine.MOUNTS_VARIABLE, "copy")
    for name in NAMES:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(f"text of {name}")
    (tmp_path / "in" / "__pycache__").mkdir()
    (tmp_path / "in" / "__pycache__" / "x").write_text("text of a cache")
    (tmp_path / "out").mkdir()
    mounts = [
        Mount(tmp_path / "in", "/in"),
        Mount(tmp_path / "in" / "a", "/alone/file"),
        Mount(tmp_path / "out", "/out", writable=True),
    ]
    outcome = run(builder, ARRIVED, mounts=mounts)
    assert outcome.exit_code == 0, outcome.tail
    for name in (*NAMES, "__pycache__/x"):
        expected = (tmp_path / "in" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == expected


_SLEEPER = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # of tests under nohup
from scripts.pipeline import container, owner, session
builder = session.builder()
print(owner.label(), flush=True)
container.run(builder.client, builder.image.id, container.Program(
    command=["python", "-c", "import time; print('up', flush=True); time.sleep(600)"]))
"""


@dataclass
class Sleeper:
    """A process that runs a container which does not end by itself."""

    process: subprocess.Popen[str]
    label: str


@pytest.fixture
def sleeper(builder: Builder) -> Iterator[Callable[..., Sleeper]]:
    """Start sleepers, each behind a command such as `unshare`; nothing of them is left."""
    started: list[Sleeper] = []

    def start(*before: str) -> Sleeper:
        command = [*before, sys.executable, "-c", _SLEEPER]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout is not None
        started.append(Sleeper(process, process.stdout.readline().strip()))
        while "up" not in process.stdout.readline():
            assert process.poll() is None
        return started[-1]

    yield start
    for sleeper in started:
        sleeper.process.kill()
        sleeper.process.wait()
        for container_id in containers_of(builder, sleeper.label):
            builder.client.api.remove_container(container_id, force=True)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_no_container(
    builder: Builder, sleeper: Callable[..., Sleeper], sent: signal.Signals
) -> None:
    interrupted = sleeper()
    interrupted.process.send_signal(sent)
    assert interrupted.process.wait(timeout=60) != 0
    assert containers_of(builder, interrupted.label) == []


def test_the_container_of_a_killed_run_is_swept_by_the_next(
    builder: Builder, sleeper: Callable[..., Sleeper]
) -> None:
    killed = sleeper()
    killed.process.kill()
    killed.process.wait(timeout=60)
    assert len(containers_of(builder, killed.label)) == 1
    container.sweep(builder.client)
    assert containers_of(builder, killed.label) == []


UNSHARE = ("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child")
STRANGER = ("setpriv", "--reuid", "65534", "--clear-groups", "--regid")
OTHERS = {
    "a process of ours": lambda: (),
    "another pid namespace": lambda: (*UNSHARE, "--mount-proc"),
    "another machine of this name": lambda: (
        *(*UNSHARE, "sh", "-c", f'mount -t tmpfs none {owner.folder()} && exec "$@"', "sh"),
    ),
    "another user": lambda: (*STRANGER, str(engine.SOCKET.stat().st_gid)),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_container_that_somebody_else_runs_is_left_alone(
    builder: Builder, sleeper: Callable[..., Sleeper], other: str
) -> None:
    """The engine is one; locks, ids of processes and names of machines are not."""
    before = OTHERS[other]()
    if before and subprocess.run([*before, sys.executable, "-c", "1"], check=False).returncode:
        pytest.skip("this user may not make namespaces, or become another")
    running = sleeper(*before)
    container.sweep(builder.client)
    (container_id,) = containers_of(builder, running.label)
    assert builder.client.api.inspect_container(container_id)["State"]["Running"]
