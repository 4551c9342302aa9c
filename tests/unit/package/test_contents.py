"""What goes into a package, and what is refused before anything is written."""

import dataclasses
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from scripts import catalog, digests
from scripts.errors import ArtefactError, CheckpointError, ElfError, SdkError
from scripts.htp import elf
from scripts.package import provenance, runtime
from scripts.package.contents import Build, items
from scripts.package.item import Item
from scripts.source import ROOT
from tests import packages
from tests.packages import BUILD_ID, OTHER_BUILD_ID


def document(build: Build, path: str) -> Any:
    source = next(item.source for item in items(build) if item.path == path)
    assert isinstance(source, bytes)
    return json.loads(source)


def readme(build: Build) -> str:
    source = next(item.source for item in items(build) if item.path == "README.md")
    assert isinstance(source, bytes)
    return source.decode()


def test_the_runtime_is_complete(tmp_path: Path) -> None:
    paths = {item.path for item in items(packages.build(tmp_path))}
    names = ("libQnnHtp", "libQnnSystem", "libQnnHtpV73Stub", "libQnnHtpV73Skel")
    assert {f"lib/{name}.so" for name in names} <= paths
    assert {"model/dinov3_int8_htp.serialized.bin", "licences/qualcomm/LICENSE.pdf"} <= paths


def test_the_stub_and_the_skel_are_those_of_the_target(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    build.context.write_bytes(f"{BUILD_ID} soc_type=QCS6490;arch=68;".encode())
    build = dataclasses.replace(build, target=catalog.targets()["qcs6490"])
    with pytest.raises(SdkError, match="libQnnHtpV68Stub"):
        items(build)
    stub = build.sdk / "lib/aarch64-ubuntu-gcc9.4/libQnnHtpV68Stub.so"
    skel = build.sdk / "lib/hexagon-v68/unsigned/libQnnHtpV68Skel.so"
    skel.parent.mkdir(parents=True)
    stub.write_bytes(packages.elf(packages.AARCH64, BUILD_ID))
    skel.write_bytes(packages.elf(packages.HEXAGON, BUILD_ID))
    paths = {item.path for item in items(build)}
    assert {f"lib/libQnnHtpV68{part}.so" for part in ("Stub", "Skel")} <= paths
    assert not {path for path in paths if "V73" in path}


def test_our_own_licence_and_the_parts_of_others_go_with_it(tmp_path: Path) -> None:
    texts = {item.path: item.source for item in items(packages.build(tmp_path))}
    for name in ("LICENSE", "NOTICE"):
        assert texts[f"licences/dinov3-qnn/{name}"] == ROOT / name
    assert "Niels Lohmann" in (ROOT / "NOTICE").read_text()  # in the runner


def test_the_manifest_says_what_it_is(tmp_path: Path) -> None:
    facts = document(packages.build(tmp_path), "manifest.json")
    assert facts["sdk"]["build_id"] == BUILD_ID
    assert facts["image"]["digest"] == f"sha256:{packages.IMAGE}"
    assert facts["source"]["digest"] == {}
    assert facts["weights"] | {"files": []} == {
        "source": "random:0",
        "sha256": "synthetic",
        "synthetic": True,
        "licence": "none: random numbers",
        "files": [],
    }
    assert facts["accuracy"] == {"cls": {"mean": 0.995}}
    assert facts["simulated_latency"] == {"milliseconds": 0.51}
    assert facts["model"]["output"]["shape"] == [1, 1 + 4 + 4 * 4, 96]


def test_a_network_of_planes_says_how_to_normalise(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    described = document(build, "manifest.json")["model"]["input"]
    assert (described["dtype"], described["layout"], described["colour_order"]) == (
        "float32",
        "NCHW",
        "RGB",
    )
    assert described["shape"] == [1, 3, 32, 32]
    how = described["preprocessing"]
    assert (how["range"], how["mean"]) == ([0, 1], list(catalog.IMAGENET_MEAN))
    text = readme(build)
    assert "--input input.raw" in text
    assert f"mean\n{how['mean']}, divided by their deviation {how['std']}" in text
    assert "`--rgb FILE`" in text


def test_pictures_are_normalised_as_the_manifest_says_whatever_the_network(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    config = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (weights / "preprocessor_config.json").write_text(json.dumps(config))
    (weights / "model.safetensors").write_bytes(b"weights")
    text = readme(dataclasses.replace(packages.build(tmp_path), weights=str(weights)))
    assert "[0.1, 0.2, 0.3], divided by their deviation [0.4, 0.5, 0.6]" in text
    assert "normalises them by the mean\nand deviation in `manifest.json`" in text


def test_a_network_of_bytes_says_that_they_are_taken_as_they_are(tmp_path: Path) -> None:
    build = dataclasses.replace(packages.build(tmp_path), takes=packages.BYTES)
    described = document(build, "manifest.json")["model"]["input"]
    assert (described["dtype"], described["layout"], described["colour_order"]) == (
        "uint8",
        "NHWC",
        "RGB",
    )
    assert described["shape"] == [1, 32, 32, 3]
    assert described["preprocessing"] == {"resize": "bilinear, antialiased", "range": [0, 255]}
    text = readme(build)
    assert "[1, 32, 32, 3], uint8, NHWC, RGB" in text
    assert "--rgb input.rgb" in text
    assert "nothing else is to be done" in text
    assert "mean" not in text


@pytest.mark.parametrize(
    "library",
    [
        "lib/aarch64-ubuntu-gcc9.4/libQnnHtp.so",
        "lib/aarch64-ubuntu-gcc9.4/libQnnSystem.so",
        "lib/aarch64-ubuntu-gcc9.4/libQnnHtpV73Stub.so",
        "lib/hexagon-v73/unsigned/libQnnHtpV73Skel.so",
    ],
)
def test_a_library_of_another_build_is_refused(tmp_path: Path, library: str) -> None:
    build = packages.build(tmp_path)
    path = build.sdk / library
    machine = packages.HEXAGON if "Skel" in library else packages.AARCH64
    path.write_bytes(packages.elf(machine, OTHER_BUILD_ID))
    with pytest.raises(SdkError, match=f"{OTHER_BUILD_ID}, the compiler of build {BUILD_ID}"):
        items(build)


def test_a_library_for_another_processor_is_refused(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    library = build.sdk / "lib/aarch64-ubuntu-gcc9.4/libQnnHtp.so"
    library.write_bytes(packages.elf(packages.X86_64, BUILD_ID))
    with pytest.raises(SdkError, match="for x86_64, not for aarch64"):
        items(build)


def test_a_context_of_another_build_is_refused(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    build.context.write_bytes(packages.CONTEXT_TEXT.format(build_id=OTHER_BUILD_ID).encode())
    with pytest.raises(SdkError, match=OTHER_BUILD_ID):
        items(build)


def test_a_context_for_another_board_is_refused(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    build.context.write_bytes(f"{BUILD_ID} soc_type=SM8650;arch=75;".encode())
    with pytest.raises(ArtefactError, match="for SM8650 v75, not QCS9100 v73"):
        items(build)


def test_a_file_for_a_newer_c_library_is_refused(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    newer = dataclasses.replace(elf.read(build.runner), versions={"GLIBC": "2.38"})
    with (
        mock.patch.object(elf, "read", return_value=newer),
        mock.patch.object(runtime, "libraries", return_value=[]),
        pytest.raises(ElfError, match=r"needs glibc 2\.38; images of iq9075 have 2\.35"),
    ):
        items(build)


def test_what_a_board_needs_is_what_the_files_need(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    facts = elf.read(build.runner)
    wants = dataclasses.replace(
        facts, versions={"GLIBC": "2.9"}, needed=("libc.so.6", "libQnnHtp.so")
    )
    with mock.patch.object(elf, "read", return_value=wants):
        needs = runtime.needs([Item("lib/libQnnHtp.so", build.runner, "runtime")], build.target)
    assert needs == {"glibc": "2.9", "libraries": ["libc.so.6"]}


def test_an_sdk_without_licence_is_refused(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    (build.sdk / "LICENSE.pdf").unlink()
    with pytest.raises(SdkError, match="no licence text"):
        items(build)


def metas(build: Build, weights: Path) -> Build:
    weights.mkdir()
    (weights / "config.json").write_text("{}")
    (weights / "model.safetensors").write_bytes(b"weights")
    model = catalog.models()["vits16"]
    return dataclasses.replace(build, model=model, weights=str(weights))


def test_metas_weights_bring_metas_licence(tmp_path: Path) -> None:
    build = metas(packages.build(tmp_path), tmp_path / "weights")
    (tmp_path / "weights" / "LICENSE.md").write_text("the DINOv3 License")
    texts = {item.path: item.source for item in items(build)}
    assert texts["licences/dinov3/LICENSE.md"] == tmp_path / "weights" / "LICENSE.md"
    facts = document(build, "manifest.json")["weights"]
    assert not facts["synthetic"]
    assert [file["name"] for file in facts["files"]] == ["model.safetensors", "config.json"]


def noted(folder: Path, **changes: object) -> None:
    """What `fetch` writes beside a checkpoint."""
    files = {path.name: digests.of_file(path) for path in folder.iterdir()}
    origin = {"repository": "facebook/dinov3-x", "commit": 40 * "a", "files": files, **changes}
    (folder / "origin.json").write_text(json.dumps(origin))


def test_weights_of_a_directory_are_said_to_be_given(tmp_path: Path) -> None:
    """Any network of the same shape may be in there: nothing claims that it is Meta's own."""
    build = metas(packages.build(tmp_path), tmp_path / "weights")
    (tmp_path / "weights" / "LICENSE.md").write_text("a licence")
    facts = document(build, "manifest.json")["weights"]
    assert facts["source"] == "given"
    assert "commit" not in facts
    assert facts["licence"] == "the texts given with the weights, see licences/dinov3"
    for item in items(build):
        if isinstance(item.source, bytes):
            assert b"facebook" not in item.source, item.path
    assert f"given, SHA-256 of the list of files {facts['sha256']}" in readme(build)


def test_what_fetch_noted_is_said_as_long_as_it_holds(tmp_path: Path) -> None:
    build = metas(packages.build(tmp_path), tmp_path / "weights")
    (tmp_path / "weights" / "LICENSE.md").write_text("a licence")
    noted(tmp_path / "weights")
    facts = document(build, "manifest.json")["weights"]
    assert (facts["source"], facts["commit"]) == ("facebook/dinov3-x", 40 * "a")
    assert f"facebook/dinov3-x at {40 * 'a'}" in readme(build)
    statement = document(build, provenance.FILE)["predicate"]["buildDefinition"]
    assert {
        "name": "weights",
        "uri": f"pkg:huggingface/facebook/dinov3-x@{40 * 'a'}",
        "digest": {"gitCommit": 40 * "a"},
    } in statement["resolvedDependencies"]
    (tmp_path / "weights" / "model.safetensors").write_bytes(b"fine-tuned since")
    assert document(build, "manifest.json")["weights"]["source"] == "given"


def _edited(file: Path) -> None:
    file.write_text(file.read_text().replace("0.5", "0.4"))


@pytest.mark.parametrize("change", [_edited, Path.unlink])
@pytest.mark.parametrize("name", ["preprocessor_config.json", "model.safetensors.index.json"])
def test_every_file_that_decides_the_result_is_recorded(
    tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    build, folder = metas(packages.build(tmp_path), tmp_path / "weights"), tmp_path / "weights"
    (folder / "LICENSE.md").write_text("a licence")
    processor = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / name).write_text(json.dumps(processor))
    noted(folder)
    before = document(build, "manifest.json")["weights"]
    assert before["source"] == "facebook/dinov3-x"
    assert {"name": name, "sha256": digests.of_file(folder / name)} in before["files"]
    statement = document(build, provenance.FILE)["predicate"]["buildDefinition"]
    assert f"weights/{name}" in {row["name"] for row in statement["resolvedDependencies"]}
    change(folder / name)
    after = document(build, "manifest.json")["weights"]
    assert after["source"] == "given"
    assert after["sha256"] != before["sha256"]


@pytest.mark.parametrize(
    "change", [{"files": {}}, {"files": None}, {"commit": 7}, {"repository": []}]
)
def test_a_note_that_does_not_name_the_files_says_nothing(
    tmp_path: Path, change: dict[str, object]
) -> None:
    build = metas(packages.build(tmp_path), tmp_path / "weights")
    (tmp_path / "weights" / "LICENSE.md").write_text("a licence")
    noted(tmp_path / "weights", **change)
    assert document(build, "manifest.json")["weights"]["source"] == "given"


def test_builtin_weights_are_those_of_the_catalog_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(Path(catalog.__file__).parent / "digits", folder)
    build = dataclasses.replace(packages.build(tmp_path), weights=str(folder))
    facts = document(build, "manifest.json")["weights"]
    assert (facts["source"], facts["licence"]) == ("builtin", "Apache-2.0")
    processor = (folder / "preprocessor_config.json").read_bytes()
    (folder / "preprocessor_config.json").write_bytes(processor.replace(b"0.485", b"0.4"))
    assert document(build, "manifest.json")["weights"]["source"] == "given"
    (folder / "preprocessor_config.json").write_bytes(processor)
    assert document(build, "manifest.json")["weights"]["source"] == "builtin"
    (folder / "model.safetensors").write_bytes(b"trained anew")
    facts = document(build, "manifest.json")["weights"]
    assert facts["source"] == "given"
    assert facts["licence"] == "not known: the weights were given without a text"


def test_metas_weights_without_their_licence_are_refused(tmp_path: Path) -> None:
    build = metas(packages.build(tmp_path), tmp_path / "weights")
    with pytest.raises(ArtefactError, match="holds no LICENSE"):
        items(build)


def test_an_empty_checkpoint_is_refused(tmp_path: Path) -> None:
    build = packages.build(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no weights"):
        items(dataclasses.replace(build, weights=str(tmp_path / "empty")))


def test_sha256sum_takes_the_list(tmp_path: Path) -> None:
    path = packages.package(tmp_path / "build", runner=b"#!/bin/sh\n")
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / "dinov3_digits_int8_iq9075"
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(done.stdout.splitlines()) == len(files) - 1
