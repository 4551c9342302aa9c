"""The command line, where it answers before any work starts."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from scripts.errors import ArtefactError, KeyFileError, UsageError
from scripts.pipeline import manual
from scripts.source import ROOT
from tests import checkpoints, packages

INVOKE = str(Path(sys.executable).with_name("invoke"))


def invoke(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [INVOKE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_door_needs_nothing_of_the_image(tmp_path: Path) -> None:
    """On the host there is no openqnn; these tests have it on their path."""
    (tmp_path / "pictures").mkdir()
    Image.effect_noise((20, 20), 60).save(tmp_path / "pictures" / "a.png")
    code = f"""
from scripts.pipeline import doctor, request
asked = request.make(images={str(tmp_path / "pictures")!r})
assert all(finding.well for finding in doctor._pictures(asked))
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={}, check=True)


def test_weights_without_their_licence_are_refused_before_the_build(tmp_path: Path) -> None:
    checkpoints.of_model(tmp_path / "model.safetensors", "vits16")
    done = invoke("build", "--weights", tmp_path)
    assert (done.returncode, done.stdout) == (ArtefactError.exit_code, "")
    assert "holds no LICENSE" in done.stderr


def test_a_missing_key_is_named_before_the_build(tmp_path: Path) -> None:
    done = invoke("package", "--sign", tmp_path / "none")
    assert (done.returncode, done.stdout) == (KeyFileError.exit_code, "")
    assert "There is no key" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "http://a.test/x", "b"),
        ("diff", "README.md", "README.md", "--html", "http://a.test/x"),
        ("deploy", "--device", "bench", "--archive", "http://a.test/x"),
        ("inspect", "http://a.test/x"),
        ("sweep", "http://a.test/x"),
    ],
)
def test_an_address_in_place_of_a_path_is_refused_with_how_to_fetch_it(words: list[str]) -> None:
    done = invoke(*words)
    assert (done.returncode, done.stdout) == (UsageError.exit_code, "")
    assert "http://a.test/x: is an address" in done.stderr
    assert "what to do:  fetch it first, e.g. with `curl -fLO http://a.test/x`" in done.stderr


def test_a_proxy_that_cannot_be_used_is_refused_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:secret@proxy.test:1080")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    done = invoke("fetch", "--weights", "hf://me/mine", "--build-dir", tmp_path)
    assert (done.returncode, done.stdout) == (UsageError.exit_code, "")
    assert done.stderr.startswith("error: https_proxy names no proxy of HTTP: it takes http://")
    assert "secret" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = [INVOKE, "inspect", str(packages.package(tmp_path))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as shown:
        assert shown.stdout and shown.stderr
        shown.stdout.close()
        assert (shown.stderr.read(), shown.wait()) == ("", 141)


def test_a_program_reads_what_an_archive_is(tmp_path: Path) -> None:
    archive = packages.package(tmp_path)
    done = invoke("inspect", archive, "--json")
    document = json.loads(done.stdout)
    with tarfile.open(archive) as tar:
        members = {Path(name).name for name in tar.getnames()}
    assert {Path(file["path"]).name for file in document["files"]} <= members
    assert document["facts"]["precision"]["name"] == "int8"
    assert set(document) == {name for names in manual.ARCHIVE for name in names.split(", ")}
    assert "files, all whole" in done.stderr


def test_quiet_says_by_its_exit_code_that_an_archive_is_whole(tmp_path: Path) -> None:
    archive = packages.package(tmp_path)
    done = invoke("inspect", archive, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    archive.write_bytes(archive.read_bytes()[:-100])
    done = invoke("inspect", archive, "--quiet")
    assert (done.returncode, done.stdout) == (ArtefactError.exit_code, "")
    assert done.stderr.startswith("error: ")


def test_a_path_that_is_none_is_refused_without_a_traceback() -> None:
    for path in ("~nobody-of-this-name/x", "x" * 300):
        done = invoke("inspect", path)
        assert (done.returncode, done.stdout) == (UsageError.exit_code, "")
        assert "Traceback" not in done.stderr


def test_a_failure_is_a_document_too(tmp_path: Path) -> None:
    done = invoke("inspect", tmp_path / "none", "--json")
    assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode
    assert "Traceback" not in done.stderr


def test_a_rebuild_needs_its_archive_alone(tmp_path: Path) -> None:
    done = invoke("rebuild", tmp_path / "none.tar.gz")
    assert (done.returncode, done.stdout) == (UsageError.exit_code, "")
    assert "none.tar.gz" in done.stderr
