"""A newcomer's build, end to end, through Qualcomm's compiler and simulator."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from scripts import artefacts, catalog
from scripts.digests import DigestCache
from scripts.errors import CalibrationError, GateError
from scripts.htp import contexts
from scripts.pipeline import plan, session
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request
from scripts.report import comparison
from scripts.source import ROOT

pytestmark = pytest.mark.pipeline
PRECISIONS = ("fp16", "int8", "w8a16")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_builds_and_passes_its_gate(
    build: Callable[..., list[Done]], ask: Callable[..., Request], precision: str
) -> None:
    build(precision=precision)
    root = ask(precision=precision).root
    report = json.loads((root / artefacts.verify_report(precision)).read_text())
    for figure, bound in catalog.precisions()[precision].gate.items():
        assert report["figures"][figure] >= bound
    accuracy = report["accuracy"]
    assert accuracy["reference"] >= 0.95
    assert accuracy["context"] >= accuracy["reference"] - 0.005


def test_context_is_plain_and_names_its_target(
    build: Callable[..., list[Done]], ask: Callable[..., Request]
) -> None:
    build()
    path = ask().root / artefacts.context_binary("int8")
    assert contexts.target_of(path) == {"soc_type": "QCS9100", "arch": "73", "vtcm_size": "8388608"}
    assert b"EPContext" not in path.read_bytes()


def test_a_build_with_nothing_to_do_runs_nothing_and_asks_the_engine_little(
    build: Callable[..., list[Done]], ask: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(), build()  # a file that is younger than a tick of the clock is read once more
    paths, send = [], requests.Session.send

    def counted(session: requests.Session, request: requests.PreparedRequest, **rest: Any) -> Any:
        paths.append(request.path_url.partition("?")[0])
        return send(session, request, **rest)

    monkeypatch.setattr(requests.Session, "send", counted)
    monkeypatch.setattr(DigestCache, "_read", lambda cache, file: pytest.fail(f"reads {file}"))
    build_request = ask()
    steps = session.builder().build(build_request, plan.stages(build_request))
    assert not any(done.is_new for done in steps)
    # Its version, whether it answers, the image, and what killed builds left; each build beside is
    # one more.
    others = [path for path in paths if re.search(r"/containers/[0-9a-f]{64}/json$", path)]
    assert len(paths) - len(others) <= 4


def test_a_flipped_byte_is_noticed_and_only_what_depends_on_it_may_run(
    build: Callable[..., list[Done]], ask: Callable[..., Request]
) -> None:
    build()
    path = ask().root / artefacts.context_binary("int8")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ran = [done.stage.verb for done in build() if done.ran]
    # The context comes out with its old bytes, so what follows it is still right.
    assert ran == ["context"]


def test_the_command_line_says_what_it_did(build_dir: Path) -> None:
    """The README's command, as a user types it."""
    invoke = Path(sys.executable).with_name("invoke")
    command = [str(invoke), "build", "--precision", "int8", "--build-dir", str(build_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dinov3_int8_htp.serialized.bin" in done.stdout
    assert "\033" not in done.stdout


def test_a_program_reads_what_a_build_came_to(build_dir: Path) -> None:
    """Stdout is one document and nothing else; with --quiet it is a line of `sha256sum`."""
    invoke = str(Path(sys.executable).with_name("invoke"))
    command = [invoke, "build", "--build-dir", str(build_dir)]
    printed = {
        level: subprocess.run([*command, level], cwd=ROOT, capture_output=True, check=True).stdout
        for level in ("--json", "--quiet")
    }
    archive = json.loads(printed["--json"])["archive"]
    content = Path(archive["path"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == archive["sha256"]
    assert printed["--quiet"].decode() == f"{archive['sha256']}  {archive['path']}\n"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--model", "digit"], 2, "one of: digits"),
        (["--weights", "/nowhere"], 3, "no weights at /nowhere"),
        (["--sdk", "/tmp"], 9, "sdk.yaml"),
    ],
)
def test_a_users_mistake_is_an_exit_code_and_a_sentence(
    options: list[str], code: int, says: str
) -> None:
    invoke = Path(sys.executable).with_name("invoke")
    done = subprocess.run(
        [invoke, "build", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stages_refusal_is_said_with_the_users_paths(
    builder: Builder, ask: Callable[..., Request], tmp_path: Path
) -> None:
    for red in range(9):
        Image.new("RGB", (64, 64), (red * 20, 0, 0)).save(tmp_path / f"{red}.png")
    build_request = ask(images=str(tmp_path))
    with pytest.raises(CalibrationError, match=f"^calibrate-calibration: {tmp_path} ") as refusal:
        builder.build(build_request, plan.up_to(build_request, "calibrate"))
    assert refusal.value.cause and refusal.value.remedy


def test_a_gate_that_is_missed_fails_the_build_and_keeps_what_was_built(
    builder: Builder, build: Callable[..., list[Done]], ask: Callable[..., Request]
) -> None:
    """Feed the context pictures in the wrong colour order, as the one public peer does."""
    build()
    build_request = ask()
    raws = build_request.root / artefacts.image_set("heldout")
    contents = {path: path.read_bytes() for path in raws.glob("*.raw")}
    size = build_request.model.image_size
    try:
        for path, data in contents.items():
            plane = 4 * size * size
            path.write_bytes(data[2 * plane :] + data[plane : 2 * plane] + data[:plane])
        verify = next(stage for stage in plan.stages(build_request) if stage.verb == "verify")
        with pytest.raises(GateError) as missed:
            session.run(builder, build_request, [verify])
    finally:
        for path, data in contents.items():
            path.write_bytes(data)
    assert (build_request.root / artefacts.context_binary("int8")).is_file()
    folder = missed.value.measured
    assert folder == build_request.root / artefacts.failed(verify.name)
    figures = json.loads((folder / artefacts.verify_report("int8")).read_text())["figures"]
    assert f"cls_mean is {figures['cls_mean']:.6f}" in missed.value.what
    document = builder.console.document  # what a program is told: a sweep, for one
    assert document["verify"]["figures"] == figures and document["profile"]["milliseconds"]
    assert "cls_mean" in comparison.load(folder / artefacts.PAGE)["missed"]
    # It counts for nothing: what was judged before is whole.
    assert not builder.build(build_request, [verify])[0].ran
    assert not folder.exists()
