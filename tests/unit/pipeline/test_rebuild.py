"""Rebuilding from an archive alone: what it names, what is refused, and how the verdict reads.

The build itself is another program's: here one that lays down a package that was made before.
"""

import dataclasses
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from scripts import catalog, digests, source
from scripts.console import Console
from scripts.errors import ArtefactError, ReproducibilityError, SignatureError, UsageError
from scripts.image.image import Image
from scripts.outputs import Outputs
from scripts.pipeline import facts, published, rebuild, request
from scripts.pipeline.published import Published
from scripts.pipeline.store import held
from tests import packages

COMMIT = f"{5:040x}"
OURS = catalog.models()["vits16"].weights
IMAGE = f"sha256:{packages.IMAGE}"
PARAMETERS = {"weights": "random:0", "images": "built-in: digits", "sdk": "openqnn", "gate": True}


def archive(
    folder: Path,
    *,
    digest: dict[str, str] | None = None,
    materials: tuple[tuple[str, str], ...] = (),
    seed: str = "",
    **parameters: Any,
) -> Path:
    """Write a package that says it was built by a commit, with these parameters and inputs."""
    host = {
        "image": {"digest": IMAGE},
        "source": {"digest": digest or {"gitCommit": COMMIT}},
        "parameters": PARAMETERS | parameters,
        "materials": [{"name": name, "digest": {"sha256": value}} for name, value in materials],
    }
    precision = catalog.precisions()[parameters.get("precision", "int8")]
    build = packages.build(folder, seed=seed)
    build = dataclasses.replace(build, host=host, precision=precision)
    return packages.pack(build, folder / f"{build.name}.tar.gz")


def new_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def tree(path: Path) -> str:
    return digests.DigestCache(Path("none")).tree(path)


def options(path: Path, *places: Path, sdk: Path | None = None, fetches: bool = False) -> list[str]:
    what = published.read(path)
    return published.arguments(what, published.find(what, places), sdk, fetches=fetches)


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Let the commit's own program be one that leaves an archive and says an image."""

    def make(result: Path, image: str = IMAGE) -> list[list[str]]:
        called: list[list[str]] = []

        def invoke(checkout: Path, words: list[str]) -> None:
            called.append(words)
            (place,) = (word.partition("=")[2] for word in words if word.startswith("--build-dir"))
            folder = Path(place) / "digits"
            (folder / "manifests").mkdir(parents=True, exist_ok=True)
            manifest = json.dumps({"image": image})
            (folder / "manifests" / "calibrate-calibration.json").write_text(manifest)
            if words[0] == "build":
                (folder / "packages").mkdir(exist_ok=True)
                shutil.copy(result, folder / "packages")

        monkeypatch.setattr(rebuild, "_invoke", invoke)
        monkeypatch.setattr(rebuild, "_checkout", lambda console, commit, folder: folder)
        return called

    return make


def run(path: Path, folder: Path, **texts: str) -> Console:
    console = Console()
    rebuild.run(console, request.make(build_dir=str(folder), **texts), path, [])
    return console


def test_equal_files_are_said_to_be_equal(
    tmp_path: Path, builds: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(tmp_path / "a")
    called = builds(archive(tmp_path / "b"))
    console = run(path, tmp_path / "build")
    assert [words[0] for words in called] == ["calibrate", "build"]
    assert console.document["equal"] is True
    assert console.document["commit"] == COMMIT
    assert "differs" not in capsys.readouterr().out
    assert not list((tmp_path / "build").glob("rebuild-*"))


def test_a_file_that_differs_is_named_with_what_it_means(
    tmp_path: Path, builds: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(tmp_path / "a", seed="another")
    builds(archive(tmp_path / "b"))
    with pytest.raises(ReproducibilityError, match=r"serialized\.bin differs") as caught:
        run(path, tmp_path / "build")
    assert "Qualcomm's compiler was given another network" in str(caught.value)
    out = capsys.readouterr().out
    # Documents that hold its hash differ too, but it comes first in the order of a build.
    assert "first model/dinov3_int8_htp.serialized.bin" in out
    assert list((tmp_path / "build").glob("rebuild-*/build/digits/packages/*"))  # to look at


def test_another_image_is_refused_before_it_is_built_in(
    tmp_path: Path, builds: Callable[..., Any]
) -> None:
    path = archive(tmp_path / "a")
    called = builds(path, image=f"sha256:{9:064x}")
    with pytest.raises(ReproducibilityError, match=rf"0009 here; .* built in {IMAGE}"):
        run(path, tmp_path / "build")
    assert [words[0] for words in called] == ["calibrate"]


@pytest.mark.parametrize("seed", ["", "another"])
def test_the_verdict_is_signed(tmp_path: Path, builds: Callable[..., Any], seed: str) -> None:
    key = new_key(tmp_path / "key")
    path = archive(tmp_path / "a")
    builds(archive(tmp_path / "b", seed=seed))
    if seed:
        with pytest.raises(ReproducibilityError):
            run(path, tmp_path / "build", sign=str(key))
    else:
        run(path, tmp_path / "build", sign=str(key))
    envelope = Envelope.from_dict(json.loads(rebuild.path_of(path).read_text()))
    public = load_ssh_public_key(key.with_suffix(".pub").read_bytes())
    envelope.verify([SSlibKey.from_crypto(public)], 1)
    statement = json.loads(envelope.payload)
    assert statement["subject"][0]["digest"] == {"sha256": digests.of_file(path)}
    verdict = statement["predicate"]
    assert verdict["result"] == ("FAILED" if seed else "PASSED")
    assert verdict["configuration"][0]["digest"] == {"gitCommit": COMMIT}
    context = "model/dinov3_int8_htp.serialized.bin"
    assert context in verdict["failedTests" if seed else "passedTests"]


def test_an_unsigned_archive_is_refused_before_its_commit_is_run(
    tmp_path: Path, builds: Callable[..., Any]
) -> None:
    path = archive(tmp_path / "a")
    called = builds(path)
    signers = tmp_path / "signers"
    key = new_key(tmp_path / "key")
    signers.write_text(f"me@example {key.with_suffix('.pub').read_text()}")
    with pytest.raises(SignatureError):
        rebuild.run(Console(), request.make(), path, [], [signers])
    assert not called


def test_edited_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="built from edited sources"):
        published.read(archive(tmp_path, digest={"sha256": 64 * "1"}))


def test_a_commit_of_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=f"Commit {COMMIT} is not in this repository"):
        run(archive(tmp_path / "a"), tmp_path / "build")


def test_pictures_are_found_by_their_hash(tmp_path: Path) -> None:
    pictures = tmp_path / "data" / "deep" / "pictures"
    pictures.mkdir(parents=True)
    (pictures / "one.png").write_bytes(b"1")
    path = archive(tmp_path / "a", materials=(("images", tree(pictures)),), images="a folder")
    assert f"--images={pictures}" in options(path, tmp_path / "data")
    assert f"--images={pictures}" in options(path, pictures)
    (pictures / "one.png").write_bytes(b"2")
    with pytest.raises(UsageError, match=r"The images .* SHA-256 [0-9a-f]{64}") as caught:
        options(path, tmp_path / "data")
    assert "--inputs" in str(caught.value)


def test_weights_are_found_by_their_hash(tmp_path: Path) -> None:
    builtin = request.BUILTIN_WEIGHTS
    build = dataclasses.replace(
        packages.build(tmp_path / "a"),
        weights=str(builtin),
        host={"source": {"digest": {"gitCommit": COMMIT}}, "parameters": {"weights": "a folder"}},
    )
    path = packages.pack(build, tmp_path / "a.tar.gz")
    shutil.copytree(builtin, tmp_path / "data" / "copy")
    assert f"--weights={tmp_path / 'data' / 'copy'}" in options(path, tmp_path / "data")
    with (tmp_path / "data" / "copy" / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UsageError, match=r"The weights .* model\.safetensors [0-9a-f]{64}"):
        options(path, tmp_path / "data")


def test_options_are_those_of_the_build(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", size="64", max_ms=2.5, gate=False, precision="mixed")
    words = {"--size=64", "--max-ms=2.5", "--no-gate", "--precision=mixed", "--weights=random:0"}
    parameters = options(path)
    assert words <= set(parameters)
    assert not [word for word in parameters if word.startswith(("--images", "--sdk", "--gate"))]
    assert "--weights=builtin" not in options(archive(tmp_path / "b", weights="builtin"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sign", "/root/key"),
        ("build_dir", "/"),
        ("cache", "http://evil.test"),
        ("sdk", "/evil"),
        ("x=1 --sign", "y"),
        ("images", "/etc"),
        ("images", "etc"),
        ("heldout", "../pictures"),
        ("widths", "/etc/passwd"),
        ("encodings", "encodings.json"),
        ("outputs", "cls,head=/etc/passwd"),
        ("method", "/etc/passwd"),
        ("method", "a folder"),
        ("gate", "yes"),
        ("size", True),
        ("size", ["/etc"]),
        ("weights", "/etc/passwd"),
        ("weights", "weights"),
        ("weights", "hf"),
        ("weights", "random:/etc"),
        ("weights", "owner/evil"),
        ("weights", "owner/evil@main"),
        ("weights", "hf://owner/evil@main"),
        ("weights", f"hf://{OURS}@main"),
        ("weights", f"owner/evil@{COMMIT}"),
    ],
)
def test_an_archive_has_no_say_in_what_this_machine_reads_and_gives(
    tmp_path: Path, name: str, value: Any
) -> None:
    path = archive(tmp_path / "a", **{name: value})
    with pytest.raises((ArtefactError, UsageError)) as caught:
        options(path, tmp_path, fetches=True)
    assert name.split("=")[0] in str(caught.value) or "head" in str(caught.value)
    assert COMMIT in str(caught.value) or "--inputs" in str(caught.value)


def test_only_our_models_are_fetched_unless_it_is_asked_for(tmp_path: Path) -> None:
    ours, other = f"hf://{OURS}@{COMMIT}", f"hf://owner/other@{COMMIT}"
    assert f"--weights={ours}" in options(archive(tmp_path / "a", weights=ours))
    path = archive(tmp_path / "b", weights=other)
    with pytest.raises(ArtefactError, match=f"{other}, a repository that is not of our") as caught:
        options(path)
    assert "--fetch" in str(caught.value)
    assert f"--weights={other}" in options(path, fetches=True)


def test_what_is_refused_is_refused_before_anything_is_run(
    tmp_path: Path, builds: Callable[..., Any]
) -> None:
    path = archive(tmp_path / "a", images="/etc")
    called = builds(path)
    with pytest.raises(ArtefactError, match="its images is '/etc'"):
        run(path, tmp_path / "build")
    assert not called and not (tmp_path / "build").exists()


def test_a_second_rebuild_in_a_folder_waits_for_the_first(
    tmp_path: Path, builds: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(tmp_path / "a")
    called = builds(path)
    folder = request.make(build_dir=str(tmp_path / "build")).build_dir
    second = Thread(target=run, args=(path, folder))
    with held(folder / ".rebuild.lock", "test"):
        second.start()
        for _ in range(1000):
            if "waiting for another rebuild in" in capsys.readouterr().out:
                break
            time.sleep(0.01)
        else:
            pytest.fail("it does not wait")
        assert not called
    second.join()
    assert called


@pytest.mark.parametrize("commit", ["HEAD", "--upload-pack=evil", "", 7, None])
def test_what_is_no_commit_is_refused(tmp_path: Path, commit: Any) -> None:
    with pytest.raises(ArtefactError, match="built from edited sources"):
        published.read(archive(tmp_path, digest={"gitCommit": commit}))


def test_heads_are_named_by_their_hash_and_found_by_it(tmp_path: Path) -> None:
    head = tmp_path / "data" / "head.safetensors"
    head.parent.mkdir()
    head.write_bytes(b"a head")
    build_request = dataclasses.replace(request.make(), outputs=Outputs.parse(f"cls,head={head}"))
    record = facts.gather(build_request, Image("id", "tag", "bookworm", IMAGE, "inputs", 0), tree)
    assert str(tmp_path) not in json.dumps(record)
    materials = tuple((item["name"], item["digest"]["sha256"]) for item in record["materials"])
    path = archive(tmp_path / "a", materials=materials, outputs=record["parameters"]["outputs"])
    assert f"--outputs=cls,head={head}" in options(path, tmp_path / "data")
    with pytest.raises(UsageError, match="The head"):
        options(path)


def test_outputs_that_no_build_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot be rebuilt: there is no output"):
        options(archive(tmp_path / "a", outputs="nonsense"))


def test_a_mounted_sdk_is_asked_for(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", sdk="mounted")
    with pytest.raises(UsageError, match="official SDK"):
        options(path)
    assert f"--sdk={tmp_path}" in options(path, sdk=tmp_path)


def test_a_checkout_has_the_bytes_of_its_commit_and_leaves_ours_alone(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "scripts").mkdir()
    (root / "scripts/file").write_text("committed\r\n")
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    git = ["git", "-C", str(root), *identity]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    (commit,) = source.revision(root).values()
    (root / "scripts/file").write_text("edited")
    assert source.holds(commit, root) and not source.holds(COMMIT, root)
    source.check_out(commit, tmp_path / "deep" / "checkout", root)
    assert (tmp_path / "deep/checkout/scripts/file").read_bytes() == b"committed\r\n"
    assert source.revision(tmp_path / "deep/checkout") == {"gitCommit": commit}
    assert (root / "scripts/file").read_text() == "edited"
    assert not (root / ".git/worktrees").exists()


def test_what_a_build_asks_for_can_be_asked_for_again(tmp_path: Path) -> None:
    """Every option that decides what comes of a build is among the parameters of its package."""
    image = Image("id", "tag", "bookworm", IMAGE, "inputs", 0)
    widths = tmp_path / "widths.json"
    widths.write_text("{}")
    build_request = request.make(
        precision="mixed", min_cosine="0.99", method="mse", input="uint8", gate=False
    )
    build_request = dataclasses.replace(build_request, widths=widths)
    record = facts.gather(build_request, image, tree)
    assert record["parameters"] | {"size": "32"} == record["parameters"]
    what = Published("name", "", published.read(archive(tmp_path / "a")).package, COMMIT,
                     record["parameters"], {"widths": tree(widths)})  # fmt: skip
    words = published.arguments(what, published.find(what, [tmp_path]), None)
    texts = {word.removeprefix("--").partition("=")[0]: word.partition("=")[2] for word in words}
    assert texts.pop("widths") == str(widths)
    assert texts.pop("no-gate") == ""
    again = request.make(**{name.replace("-", "_"): text for name, text in texts.items()})
    assert dataclasses.replace(again, widths=widths, gate=False) == build_request
