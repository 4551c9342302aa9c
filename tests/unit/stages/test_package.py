"""The package stage as a program: the archive in its place, the same bytes twice, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.errors import SdkError, UsageError
from scripts.package import package
from scripts.package.contents import Build
from scripts.source import ROOT
from tests import packages
from tests.networks import vit

PATH = os.pathsep.join([str(ROOT), str(ROOT / "toolchains/openqnn/lib/python")])
ARCHIVE = "packages/dinov3_digits_int8_iq9075.tar.gz"


def run(
    out: Path, build: Build, *extra: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.stages.package", "--out", str(out)]
    command += ["--model", "digits", "--precision", "int8", "--target", "iq9075"]
    command += ["--weights", "random:0", "--context", str(build.context), "--sdk", str(build.sdk)]
    for name, report in build.reports.items():
        command += [f"--{name}", str(report)]
    network = vit.write(out.parent)
    command += ["--runner", str(build.runner), "--client", "--network", str(network), *extra]
    environment = {**os.environ, "PYTHONPATH": PATH, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_makes_the_same_archive_whenever_and_wherever(tmp_path: Path) -> None:
    first = run(tmp_path / "one", packages.build(tmp_path / "a"))
    assert first.returncode == 0, first.stderr
    run(tmp_path / "two", packages.build(tmp_path / "b"), TZ="Asia/Tokyo", LC_ALL="C")
    assert (tmp_path / "one" / ARCHIVE).read_bytes() == (tmp_path / "two" / ARCHIVE).read_bytes()


def test_the_package_is_named_as_the_network_is(tmp_path: Path) -> None:
    run(tmp_path, packages.build(tmp_path / "a"), "--name", "digits-uint8")
    name = "dinov3_digits-uint8_int8_iq9075"
    assert package.check(tmp_path / "packages" / f"{name}.tar.gz").manifest.name == name


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_that_quantize_chose_are_those_of_the_manifest(tmp_path: Path, bits: int) -> None:
    widths = tmp_path / "widths.json"
    widths.write_text(json.dumps({"why": {"weights": bits}, "16": {}, "8": {}}))
    run(tmp_path, packages.build(tmp_path / "a"), "--widths", str(widths))
    precision = package.check(tmp_path / ARCHIVE).manifest.facts["precision"]
    assert precision == {"name": "int8", "weights": bits, "activations": 8}


def test_takes_what_only_the_host_knows(tmp_path: Path) -> None:
    facts = '{"image": {"digest": "sha256:77"}}'
    run(tmp_path, packages.build(tmp_path / "a"), "--provenance-facts", facts)
    assert package.check(tmp_path / ARCHIVE).manifest.facts["image"] == {"digest": "sha256:77"}


def test_facts_that_are_not_json_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, packages.build(tmp_path / "a"), "--provenance-facts", "{")
    assert (done.returncode, "Traceback" in done.stderr) == (UsageError.exit_code, False)


def test_another_build_is_refused_without_leaving_an_archive(tmp_path: Path) -> None:
    build = packages.build(tmp_path / "a")
    build.context.write_bytes(packages.OTHER_BUILD_ID.encode())
    done = run(tmp_path, build)
    assert (done.returncode, "Traceback" in done.stderr) == (SdkError.exit_code, False)
    assert not (tmp_path / ARCHIVE).exists()
