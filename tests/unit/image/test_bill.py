"""The image's bill of materials: of the locks, valid, and the same bytes every time."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts import digests
from scripts.image import bill, lanes, locks, wheels
from scripts.source import ROOT

LANE = lanes.load("bookworm")
PROGRAM = """
import hashlib
from scripts.image import bill, lanes
print(hashlib.sha256(bill.make(lanes.load("bookworm"))).hexdigest())
"""


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(locks.bill(LANE))


def components(document: Any, kind: str) -> list[Any]:
    return [part for part in document["components"] if part.get("purl", "").startswith(kind)]


def test_what_is_committed_is_made_from_the_locks() -> None:
    assert locks.bill(LANE) == bill.make(LANE), "bill.lock writes it, in `invoke image.lock`"


def test_it_is_valid_by_the_schema_of_cyclonedx() -> None:
    text = locks.bill(LANE).decode()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"SHA-256"', '"SHA-257"', 1)) is not None


@pytest.mark.parametrize(("seed", "zone"), [("1", "Asia/Tokyo"), ("2", "America/New_York")])
def test_the_same_locks_give_the_same_bytes(seed: str, zone: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digests.of_bytes(locks.bill(LANE))


def test_every_locked_file_is_in_it_with_its_hash(document: Any) -> None:
    hashes = {item["content"] for part in document["components"] for item in part.get("hashes", ())}
    pins = [*wheels.parse(locks.python(LANE).read_text()), *wheels.parse(locks.QAIRT.read_text())]
    expected = {digest for pin in pins for digest in pin.hashes}
    assert hashes == expected | set(locks.packages(LANE).hashes.values())


def test_every_package_says_its_licence_and_no_other_does(document: Any) -> None:
    for part in document["components"]:
        assert part["licenses"], part["name"]
    said = locks.licences(LANE)
    assert set(said["debian"]) == set(locks.packages(LANE).versions)
    assert set(said["python"]) == {pin.name for pin in wheels.parse(locks.python(LANE).read_text())}


def test_licences_read_as_their_packages_have_them(document: Any) -> None:
    (numpy,) = (part for part in components(document, "pkg:pypi/") if part["name"] == "numpy")
    assert numpy["licenses"][0]["expression"].startswith("BSD-3-Clause AND")
    packages = {part["name"]: part for part in components(document, "pkg:deb/debian/")}
    assert packages["zlib1g"]["licenses"] == [{"license": {"name": "Zlib"}}]
    (text,) = packages["libc6"]["licenses"]  # its copyright file is in prose
    assert "/usr/share/doc/libc6/copyright" in text["license"]["name"]


def test_qualcomms_libraries_are_under_their_own_terms_and_from_the_wheels(document: Any) -> None:
    (libraries,) = (part for part in document["components"] if "supplier" in part)
    assert "Qualcomm_LICENSE.pdf" in libraries["licenses"][0]["license"]["name"]
    taken = {item["value"] for item in libraries["properties"]}
    assert {"lib/hexagon-v73/unsigned/libQnnHtpV73Skel.so", "Qualcomm_LICENSE.pdf"} <= taken
    (needs,) = (
        entry["dependsOn"]
        for entry in document["dependencies"]
        if entry["ref"] == libraries["bom-ref"]
    )
    (pin,) = wheels.parse(locks.QAIRT.read_text())
    assert {ref.rpartition("#")[2] for ref in needs} == {digest[:12] for digest in pin.hashes}
