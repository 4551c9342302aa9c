"""The bill of materials of a lane's image: CycloneDX, made from the locks alone.

Every Debian package and wheel is in it with version, hash and licence, and Qualcomm's libraries
with the wheels that they are taken from. It bears the date of the lock, and a serial number that
follows from all the rest: the same locks give the same bytes, on every machine, without the image.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import tomllib
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import DisjunctiveLicense, License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

import docker
from scripts.image import locks, wheels
from scripts.image.lanes import DOCKER, Lane

# Said to the tools that read it: which of the wheels' files stand in the image.
_TAKEN = "dinov3-qnn:taken"
_QUALCOMM = "Qualcomm Technologies, Inc."
_READER = DOCKER / "read_licences.py"


def lock(client: docker.DockerClient, lane: Lane, image: str) -> Path:
    """Lock what an image's packages say of their licences, and the bill of materials with them."""
    locks.write_licences(lane, licences(client, image))
    path = lane.lock("cdx.json")
    path.write_bytes(make(lane))
    return path


def licences(client: docker.DockerClient, image: str) -> dict[str, dict[str, str]]:
    """Return what each package of an image says of its licence, Debian's and Python's apart."""
    command = ["python", "-c", _READER.read_text()]
    said = client.containers.run(image, command, network_mode="none", remove=True)
    return dict(json.loads(said))


def make(lane: Lane) -> bytes:
    """Return the bill of materials of a lane's image.

    Raises:
        ImageBuildError: the lane has no locks.
    """
    parts = [*_debian(lane), *_python(lane)]
    libraries, sources = _qualcomm(lane), list(_wheels_of_qualcomm(parts))
    image = Component(
        name="dinov3-qnn", version=lane.name, type=ComponentType.CONTAINER, bom_ref=lane.name
    )
    bom = Bom(
        components=[*parts, *sources, libraries],
        metadata=BomMetaData(component=image, timestamp=_date(lane)),
    )
    bom.register_dependency(image, bom.components)
    bom.register_dependency(libraries, _taken_from(bom.components))
    content = json.loads(JsonV1Dot6(bom).output_as_string()) | {"serialNumber": ""}
    del content["$schema"]  # an address: the locks name none
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(content, sort_keys=True))
    content["serialNumber"] = serial.urn
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _debian(lane: Lane) -> Iterator[Component]:
    packages, texts = locks.packages(lane), locks.licences(lane)["debian"]
    for name, version in packages.versions.items():
        qualifiers = {"arch": "amd64", "distro": lane.suite}
        distribution = "ubuntu" if "ubuntu" in lane.keyring else "debian"
        link = PackageURL("deb", distribution, name, version, qualifiers)
        # Names of Debian's own, often of many parts: none of SPDX's expressions.
        text = texts.get(name) or f"see /usr/share/doc/{name}/copyright in the image"
        yield _component(link, packages.hashes[name], DisjunctiveLicense(name=text))


def _python(lane: Lane) -> Iterator[Component]:
    texts, known = locks.licences(lane)["python"], LicenseFactory()
    for pin in wheels.parse(locks.python(lane).read_text()):
        text = texts.get(pin.name)
        licence = known.make_from_string(text) if text else None
        for sha256 in pin.hashes:
            yield _component(PackageURL("pypi", None, pin.name, pin.version), sha256, licence)


def _wheels_of_qualcomm(others: Iterable[Component]) -> Iterator[Component]:
    """Yield the wheels that Qualcomm's libraries come in, except those that are there already."""
    known = {component.bom_ref.value for component in others}
    for pin in wheels.parse(locks.QAIRT.read_text()):
        for sha256 in pin.hashes:
            wheel = _component(
                PackageURL("pypi", None, pin.name, pin.version), sha256, _wheels_own()
            )
            if wheel.bom_ref.value not in known:
                yield wheel


def _component(link: PackageURL, sha256: str, licence: License | None) -> Component:
    return Component(
        name=link.name,
        version=link.version,
        type=ComponentType.LIBRARY,
        purl=link,
        bom_ref=f"{link}#{sha256[:12]}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        licenses=[licence] if licence else [],
    )


def _wheels_own() -> License:
    return LicenseFactory().make_from_string("MIT")


def _qualcomm(lane: Lane) -> Component:
    """Return Qualcomm's libraries: which files, of which build, under whose terms."""
    data = tomllib.loads(locks.SDK.read_text())
    return Component(
        name="Qualcomm AI Engine Direct libraries",
        version=data["build_id"],
        type=ComponentType.LIBRARY,
        bom_ref=f"qualcomm@{data['build_id']}",
        supplier=OrganizationalEntity(name=_QUALCOMM),
        licenses=[
            DisjunctiveLicense(name="AI Stack License, see /opt/openqnn/Qualcomm_LICENSE.pdf")
        ],
        properties=[Property(name=_TAKEN, value=path) for path in _files(data, lane.hexagon)],
    )


def _files(data: dict[str, Any], archs: Iterable[str]) -> Iterator[str]:
    """Yield the files below /opt/openqnn that are Qualcomm's, as patterns of docker/sdk.toml."""
    for folder, content in data["folders"].items():
        paths = [f"{folder}/{name}".removeprefix("./") for name in content["files"]]
        yield from sorted({path.format(arch=arch) for path in paths for arch in archs})


def _taken_from(components: Iterable[Component]) -> list[Component]:
    names = {pin.name for pin in wheels.parse(locks.QAIRT.read_text())}
    return [component for component in components if component.name in names]


def _date(lane: Lane) -> datetime:
    moment = datetime.strptime(locks.packages(lane).date, "%Y%m%dT%H%M%SZ")
    return moment.replace(tzinfo=timezone.utc)
