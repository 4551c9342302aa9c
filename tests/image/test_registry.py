"""Pushed and pulled with a real registry on the loopback: TLS, a password, and forged images.

Debian's `docker-registry` is taken out of its package: nothing is installed, no service started.
"""

import base64
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from oras.client import OrasClient
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

import docker
from scripts import source
from scripts.errors import ImageBuildError, KeyFileError
from scripts.image import builder, content, lanes, locks, publication, recipe
from scripts.image import image as images
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import DEFAULT
from scripts.pipeline import engine
from tests import debian

pytestmark = pytest.mark.image

INPUTS = "sha256:inputs"
# bcrypt, as the registry wants it, of the password "secret".
HTPASSWD = "me:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http:
  addr: 127.0.0.1:{port}
  tls: {{certificate: {folder}/cert.pem, key: {folder}/key.pem}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debian.certify(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def registry(certificate: Path) -> Iterator[str]:
    folder = certificate.parent
    (folder / "htpasswd").write_text(HTPASSWD)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port))
    program = debian.program("docker-registry", "usr/bin/docker-registry", folder)
    serve = [str(program), "serve", str(folder / "config.yml")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(serve, stdout=log, stderr=log)
    try:
        wait_for(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as client:
            if not client.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    pytest.fail("the registry does not answer")


@pytest.fixture
def logged_in(
    registry: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> docker.DockerClient:
    """An engine's client that has the registry's password, as `docker login` leaves it."""
    auth = base64.b64encode(b"me:secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return engine.connect()


@pytest.fixture
def base(
    logged_in: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[images.Image]:
    """A small image with labels of ours, and its digests recorded."""
    client, log = logged_in, BuildLog(tmp_path / "log")
    monkeypatch.setattr(images, "REPOSITORY", "dinov3-qnn-registry-test")
    monkeypatch.setattr(recipe, "inputs_digest", lambda lane: INPUTS)
    monkeypatch.setattr(images, "CACHE", tmp_path)  # its lock is not that of real builds
    files: builder.Context = {"Dockerfile": b"FROM scratch\nENV PATH=/bin\nCOPY Dockerfile /\n"}
    unlabelled = builder.build(client, files, log)
    digest = content.digest(images.contents(client, unlabelled))
    labels = dict(zip(images._LABELS, (DEFAULT, INPUTS, digest), strict=True))
    tag = f"{images.REPOSITORY}:{DEFAULT}"
    recipe.label(client, unlabelled, labels, tag, log)
    recorded = {"inputs": INPUTS, "content": digest}
    monkeypatch.setattr(locks, "recorded", lambda lane: recorded)
    monkeypatch.setattr(source, "revision", lambda: {"gitCommit": f"{7:040x}"})
    default = images.find(client, DEFAULT)
    assert default
    yield default
    for image in client.images.list(filters={"label": f"{images.LABEL_INPUTS}={INPUTS}"}):
        client.images.remove(str(image.id), force=True)


def pulled(
    client: docker.DockerClient, reference: str, monkeypatch: pytest.MonkeyPatch
) -> images.Image:
    """Forget every image of the test, and get it by the reference."""
    for image in client.images.list(filters={"label": f"{images.LABEL_INPUTS}={INPUTS}"}):
        client.images.remove(str(image.id), force=True)
    monkeypatch.setenv(images.REFERENCE_VARIABLE, reference)
    monkeypatch.setattr(images, "_build", lambda *_: pytest.fail("built, not pulled"))
    return images.ensure(client, DEFAULT)


def test_what_is_pushed_is_pulled_by_its_digest(
    registry: str,
    logged_in: docker.DockerClient,
    base: images.Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = publication.push(logged_in, DEFAULT, f"{registry}/image:today")
    assert reference.startswith(f"{registry}/image@sha256:")
    again = pulled(logged_in, reference, monkeypatch)
    assert (again.content_digest, again.inputs_digest) == (base.content_digest, INPUTS)


def fetched(registry: str, path: str) -> requests.Response:
    """What any client of a registry would see."""
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json, */*"}
    place = f"https://{registry}/v2/{path}"
    answer = requests.get(place, headers=accept, auth=("me", "secret"), timeout=10)
    answer.raise_for_status()
    return answer


def layers(registry: str, reference: str, kind: str) -> list[dict[str, str]]:
    name, _, digest = reference.removeprefix(f"{registry}/").partition("@sha256:")
    manifest = fetched(registry, f"{name}/manifests/sha256-{digest}.{kind}").json()
    return list(manifest["layers"])


def new_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def attached(registry: str, reference: str, kind: str) -> tuple[dict[str, str], bytes]:
    """Return the one layer of a document beside an image, as its manifest has it, and its bytes."""
    (layer,) = layers(registry, reference, kind)
    name = reference.removeprefix(f"{registry}/").partition("@")[0]
    return layer, fetched(registry, f"{name}/blobs/{layer['digest']}").content


def test_the_bill_of_materials_stands_beside_what_is_pushed(
    registry: str, logged_in: docker.DockerClient, base: images.Image, tmp_path: Path
) -> None:
    reference = publication.push(logged_in, DEFAULT, f"{registry}/billed")
    layer, document = attached(registry, reference, "sbom")
    assert layer["mediaType"] == "application/vnd.cyclonedx+json"
    assert document == locks.bill(lanes.load(DEFAULT))
    # A client of others' making finds it, and writes it under its name.
    client = OrasClient(auth_backend="basic")
    client.auth.set_basic_auth("me", "secret")
    tag = reference.rpartition("@")[2].replace(":", "-")
    (file,) = client.pull(f"{registry}/billed:{tag}.sbom", outdir=str(tmp_path / "pulled"))
    assert Path(file).name == "image.cdx.json"
    assert Path(file).read_bytes() == document
    # Nothing is in the way of pushing it again.
    assert publication.push(logged_in, DEFAULT, f"{registry}/billed") == reference


def test_signed_provenance_stands_beside_what_is_pushed_with_a_key(
    registry: str, logged_in: docker.DockerClient, base: images.Image, tmp_path: Path
) -> None:
    key = new_key(tmp_path / "key")
    reference = publication.push(logged_in, DEFAULT, f"{registry}/signed", key)
    layer, document = attached(registry, reference, "att")
    assert layer["mediaType"] == "application/vnd.dsse.envelope.v1+json"
    envelope = Envelope.from_dict(json.loads(document))
    public = load_ssh_public_key(key.with_suffix(".pub").read_bytes())
    envelope.verify([SSlibKey.from_crypto(public)], 1)
    (subject,) = json.loads(envelope.payload)["subject"]
    assert f"{subject['name']}@sha256:{subject['digest']['sha256']}" == reference
    # Another's signature stands beside it; the same again does not.
    other = new_key(tmp_path / "other")
    for again in (other, key):
        assert publication.push(logged_in, DEFAULT, f"{registry}/signed", again) == reference
    assert len(layers(registry, reference, "att")) == 2


def test_nothing_is_pushed_where_the_key_is_none(
    registry: str, logged_in: docker.DockerClient, base: images.Image, certificate: Path
) -> None:
    with pytest.raises(KeyFileError, match="no private key"):
        publication.push(logged_in, DEFAULT, f"{registry}/keyless", certificate)
    with pytest.raises(requests.HTTPError):
        fetched(registry, "keyless/manifests/latest")


def test_a_certificate_that_only_the_engine_believes_is_named(
    registry: str,
    logged_in: docker.DockerClient,
    base: images.Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(ImageBuildError, match="is pushed, but not its sbom") as caught:
        publication.push(logged_in, DEFAULT, f"{registry}/image")
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)


def test_a_registry_that_does_not_know_us_is_named(
    registry: str,
    base: images.Image,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("empty")))
    with pytest.raises(ImageBuildError, match="cannot be pushed") as caught:
        publication.push(engine.connect(), DEFAULT, f"{registry}/image")
    assert "docker login" in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        'ENTRYPOINT ["/evil"]',
        "ENV LD_PRELOAD=/evil.so",
        "USER 1000",
        "COPY Dockerfile /evil",
        "LABEL dinov3-qnn.stage=false",
    ],
)
def test_an_image_with_our_labels_that_is_another_is_refused(
    registry: str,
    logged_in: docker.DockerClient,
    base: images.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    files: builder.Context = {"Dockerfile": f"FROM {base.tag}\n{line}\n".encode()}
    builder.build(logged_in, files, BuildLog(tmp_path / "log"), tag=base.tag)
    reference = publication.push(logged_in, DEFAULT, f"{registry}/forged:x")
    with pytest.raises(ImageBuildError, match="changed after the build"):
        pulled(logged_in, reference, monkeypatch)
    assert images.find(logged_in, DEFAULT) is None
