import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scripts import width_pins
from scripts.checkpoint.configuration import DEFAULTS
from scripts.checkpoint.hub_id import HubId
from scripts.errors import (
    CalibrationError,
    CheckpointError,
    KeyFileError,
    PipelineError,
    SdkError,
    UsageError,
)
from scripts.picture_size import PictureSize
from scripts.pipeline import plan, request, session
from scripts.pipeline.request import Request
from scripts.source import ROOT
from tests import checkpoints

COLOURS = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
HEAD = request.BUILTIN_WEIGHTS / "head.safetensors"


def make(**texts: str | float) -> Request:
    return request.make(**{"model": "vits16", **texts})


def test_defaults() -> None:
    assert make().hub_id == HubId("facebook/dinov3-vits16-pretrain-lvd1689m")
    assert make(model="digits").weights_path == request.BUILTIN_WEIGHTS
    assert make(weights="random").synthetic
    assert make(weights="random:7").synthetic


@pytest.mark.parametrize(
    ("texts", "error", "says"),
    [
        ({"model": "vitx"}, UsageError, "vith16plus"),
        ({"precision": "int4"}, UsageError, "w8a16"),
        ({"target": "iq1"}, UsageError, "iq9075"),
        ({"model": "digits", "weights": "hf"}, UsageError, "not on the hub"),
        ({"model": "", "weights": "hf"}, UsageError, "with --model: vits16, vits16plus, "),
        ({"size": "99999999"}, UsageError, "--size 1024 is the nearest"),
        ({"size": "16x9999"}, UsageError, "--size 16x1024 is the nearest"),
        ({"size": "9" * 5000}, UsageError, "is no picture size"),
        ({"weights": "randomly"}, CheckpointError, "/randomly."),
        ({"weights": "random:abc"}, UsageError, "the seed is a number"),
        ({"weights": "random:" + "9" * 5000}, UsageError, "the seed is a number"),
        ({"weights": "9" * 5000}, UsageError, "no path is that long"),
        ({"build_dir": "/proc/x"}, UsageError, "keeps no files"),
        ({"build_dir": "/"}, UsageError, "the whole disk"),
        ({"build_dir": "a/" * 3000}, UsageError, "no path is that long"),
        ({"build_dir": str(ROOT / "scripts")}, UsageError, "is in the sources"),
        ({"build_dir": str(ROOT / "docker" / "new")}, UsageError, "is in the sources"),
        ({"build_dir": str(ROOT / "Makefile")}, UsageError, "Makefile is a file, no folder"),
        ({"build_dir": str(ROOT / "Makefile" / "x")}, UsageError, "Makefile is a file, no folder"),
        (
            {"build_dir": "s3://bucket/x"},
            UsageError,
            "--build-dir s3://bucket/x: is an address",
        ),
        ({"images": "https://a.test/a.zip"}, UsageError, "is an address, and this"),
        ({"sdk": "file:///opt/qairt"}, UsageError, "is an address, and this"),
        (
            {"outputs": "head=https://a.test/h.safetensors"},
            UsageError,
            "is an address, and this",
        ),
        ({"images": "/nowhere"}, CalibrationError, "/nowhere is not there"),
        ({"images": "Makefile"}, CalibrationError, "Makefile is a file"),
        ({"images": "scripts/catalog"}, CalibrationError, "no picture (.jpg"),
        ({"heldout": "scripts/catalog"}, CalibrationError, f"in {ROOT}/scripts/catalog"),
        ({"weights": "README.md"}, CheckpointError, "README.md is no file of weights"),
        ({"weights": "/dev/null"}, CheckpointError, "/dev/null is no file of weights"),
        ({"weights": "README.md/x"}, CheckpointError, "There are no weights at"),
        ({"weights": "a/b/c"}, CheckpointError, "a/b/c."),
        ({"weights": "https://a.test/m.pth"}, CheckpointError, "is an address, and not of"),
        ({"weights": "hf://a"}, CheckpointError, "owner/name@revision"),
        ({"weights": "a/b--c"}, CheckpointError, "a/b--c."),
        ({"weights": "no/model.safetensors"}, CheckpointError, "owner/name@revision"),
        ({"weights": "hf@a b"}, UsageError, "'a b' is no revision"),
        ({"input": "int8"}, UsageError, "one of: float32, uint8"),
        ({"outputs": "tokens,logits"}, UsageError, "there is no output 'logits'"),
        ({"outputs": "cls,cls"}, UsageError, "cls stands there twice"),
        ({"outputs": "layers=11,12"}, UsageError, "choose among layers 0 to 11"),
        ({"outputs": "head=/nowhere"}, CheckpointError, "/nowhere is not there"),
        ({"outputs": f"head={__file__}"}, CheckpointError, "is no .safetensors file"),
        ({"outputs": f"head={HEAD}"}, CheckpointError, "[10, 96], not [classes, 384]"),
        ({"method": "kl"}, UsageError, "one of: min-max, percentile, mse"),
        ({"size": "wide"}, UsageError, "480x640"),
        ({"size": "230"}, UsageError, "--size 224 is the nearest"),
        ({"size": "2048"}, UsageError, "--size 1024 is the nearest"),
        ({"weights": "builtin"}, UsageError, "no built-in weights"),
        ({"lane": "focal"}, UsageError, "bookworm"),
        ({"memory": "-1"}, UsageError, "--memory -1: must be a number from 0.1"),
        ({"memory": "0"}, UsageError, "--memory 0: must be a number from 0.1"),
        ({"memory": "1e99"}, UsageError, "--memory 1e99: must be a number from 0.1"),
        ({"precision": "mixed", "max_ms": "0"}, UsageError, "--max-ms 0: must be a number above 0"),
        ({"precision": "mixed", "max_ms": "٣"}, UsageError, "must be a number above 0"),
        ({"precision": "mixed", "max_ms": "1_0"}, UsageError, "must be a number above 0"),
        ({"sign": "/nowhere/key"}, KeyFileError, "no key /nowhere/key"),
        ({"sdk": "."}, SdkError, "sdk.yaml"),
        ({"precision": "mixed", "max_ms": -1.0}, UsageError, "above 0"),
        ({"precision": "mixed", "min_cosine": 1.0}, UsageError, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused_in_words(
    texts: dict[str, str | float], error: type[PipelineError], says: str
) -> None:
    with pytest.raises(error) as caught:
        make(**texts)
    assert says in str(caught.value)


def test_a_size_that_is_advised_is_taken() -> None:
    for text in ("0", "1", "9999", "1025", "16x9999", "250x1"):
        with pytest.raises(UsageError) as refusal:
            make(size=text)
        advised = refusal.value.remedy.split()[1]
        assert str(make(size=advised).size) == advised


def test_the_usual_folder_and_others_of_the_clone_are_no_sources() -> None:
    for name in ("build", "mine", "scripts-of-mine", "../elsewhere"):
        assert make(build_dir=str(ROOT / name)).build_dir == (ROOT / name).resolve()


def test_the_model_is_what_the_weights_say(tmp_path: Path) -> None:
    folder = shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path / "copy")
    taken = request.make(weights=str(folder))
    assert (taken.model.name, taken.weights_path) == ("digits", folder)
    with pytest.raises(CheckpointError, match="is not vits16: its patch_size is 8, not 16"):
        make(weights=str(folder))


def test_home_is_expanded_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "sdk.yaml").write_text("")
    (tmp_path / "more").mkdir()
    Image.new("L", (1, 1)).save(tmp_path / "more" / "a.png")
    folders = dict.fromkeys(("weights", "images", "sdk"), "~")
    build = make(model="digits", build_dir="~/x", heldout="~/more", **folders)
    assert (build.build_dir, build.heldout) == (tmp_path / "x", tmp_path / "more")
    assert {Path(build.weights), build.images, build.sdk} == {tmp_path}


def test_a_network_that_departs_from_the_usual_has_a_folder_and_an_archive_of_its_own() -> None:
    builds = [
        make(weights=texts.pop("weights", "random"), **texts)
        for texts in (
            {"size": "224"},
            {"size": "512"},
            {"size": "480x640", "input": "uint8"},
            {"model": "digits", "weights": "builtin", "input": "uint8"},
            {"outputs": "tokens"},
            {"size": "512", "outputs": "layers=3,11,cls"},
            {"model": "digits", "outputs": f"head={HEAD}"},
        )
    ]
    names = ["vits16", "vits16-512", "vits16-480x640-uint8", "digits-uint8"]
    names += ["vits16", "vits16-512-layer_3-layer_11-cls", "digits-head"]
    assert [build.root.name for build in builds] == names
    archives = [f"dinov3_{name}_int8_iq9075.tar.gz" for name in names]
    assert [build.archive.name for build in builds] == archives


@pytest.mark.parametrize(
    ("file", "entry", "says"),
    [
        ("config.json", '"patch_size": 0', "patch_size is 0, not a whole number from 1"),
        ("config.json", '"num_hidden_layers": -1', "num_hidden_layers is -1"),
        ("config.json", '"hidden_size": "96"', 'hidden_size is "96"'),
        ("config.json", '"num_attention_heads": true', "num_attention_heads is true"),
        ("config.json", '"num_register_tokens": 4.0', "num_register_tokens is 4.0"),
        ("config.json", '"intermediate_size": null', "intermediate_size is null"),
        ("config.json", '"layer_norm_eps": NaN', "layer_norm_eps is NaN, not a number above 0"),
        ("config.json", '"rope_theta": 0', "rope_theta is 0, not a number from 1 to 1e9"),
        ("config.json", '"rope_theta": 5e-324', "rope_theta is 5e-324"),
        ("config.json", '"rope_theta": 1e300', "rope_theta is 1e+300"),
        ("config.json", '"rope_theta": Infinity', "rope_theta is Infinity"),
        ("config.json", '"hidden_act": "nonsense"', 'hidden_act is "nonsense", and DINOv3 ViTs'),
        ("config.json", r'"hidden_act": "\u001b[31m"', "cannot be shown"),
        ("config.json", '"hidden_act": null', "hidden_act is null"),
        ("config.json", '"hidden_act": ["gelu"]', 'hidden_act is ["gelu"]'),
        ("config.json", '"num_register_tokens": 5', "says num_register_tokens 5, and embeddings"),
        ("config.json", '"num_channels": 4', "says num_channels 4, and embeddings.patch"),
        ("config.json", '"num_hidden_layers": 7', "says num_hidden_layers 7"),
        ("config.json", '"num_attention_heads": 5', "of digits, which has 3"),
        ("preprocessor_config.json", '"image_std": [1, 0, 1]', "deviation must be above 0"),
        ("preprocessor_config.json", '"image_std": [1, -1, 1]', "deviation must be above 0"),
        ("preprocessor_config.json", '"image_std": [1, NaN, 1]', "image_std is [1, NaN, 1], where"),
        (
            "preprocessor_config.json",
            '"image_mean": [0, 1e999, 1]',
            "image_mean is [0, Infinity, 1]",
        ),
        ("preprocessor_config.json", f'"image_mean": [0, 1{400 * "0"}, 1]', "does not say mean"),
        ("preprocessor_config.json", '"image_mean": "123"', 'image_mean is "123"'),
        ("preprocessor_config.json", '"image_mean": 1', "does not say mean"),
        ("preprocessor_config.json", '"image_mean": null', "does not say mean"),
        ("preprocessor_config.json", '"do_center_crop": true', "asks for do_center_crop true"),
    ],
)
def test_files_beside_the_weights_are_read_before_any_work(
    tmp_path: Path, file: str, entry: str, says: str
) -> None:
    shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / file).read_text().rstrip().removesuffix("}")
    (tmp_path / file).write_text(f"{text}, {entry}}}")  # of two entries, the last counts
    for texts in ({}, {"model": "digits"}):
        with pytest.raises(CheckpointError) as refusal:
            request.make(weights=str(tmp_path), **texts)
        assert says in refusal.value.what
        assert str(tmp_path) in refusal.value.what


@pytest.mark.parametrize("side", [30, 100_000])
def test_a_size_of_a_file_that_no_network_takes_is_refused_with_the_file(
    tmp_path: Path, side: int
) -> None:
    shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path, dirs_exist_ok=True)
    processor = tmp_path / "preprocessor_config.json"
    config = json.loads(processor.read_text()) | {"size": {"height": side, "width": side}}
    processor.write_text(json.dumps(config))
    with pytest.raises(CheckpointError) as refusal:
        request.make(weights=str(tmp_path))
    assert f"{processor} says pictures of {side}. " in refusal.value.what
    assert "--size" in refusal.value.remedy
    assert request.make(weights=str(tmp_path), size="32").size == PictureSize.square(32)
    with pytest.raises(UsageError):
        request.make(weights=str(tmp_path), size="30")


LACKING = sorted(DEFAULTS.keys() - {"num_channels"})  # whose default is that of digits


@pytest.mark.parametrize("key", LACKING)
def test_a_key_that_is_missing_has_the_default_of_transformers(tmp_path: Path, key: str) -> None:
    shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config))
    for texts in ({}, {"model": "digits"}):
        with pytest.raises(CheckpointError) as refusal:
            request.make(weights=str(tmp_path), **texts)
        assert f"lacks {key}, which stands for {DEFAULTS[key]}" in refusal.value.what


@pytest.mark.torch
def test_the_defaults_are_those_of_transformers() -> None:
    from transformers import DINOv3ViTConfig

    config = DINOv3ViTConfig()
    assert {key: getattr(config, key) for key in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (np.full((10, 96), np.nan, np.float32), "NaN"),
        (np.zeros((10, 97), np.float32), "[10, 97]"),
    ],
)
def test_a_head_is_read_before_any_work_and_ignored_where_none_is_asked_for(
    tmp_path: Path, weight: NDArray[np.float32], says: str
) -> None:
    shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path, dirs_exist_ok=True)
    head = tmp_path / "head.safetensors"
    checkpoints.write_safetensors(head, {"weight": weight, "bias": np.zeros(10, np.float32)})
    with pytest.raises(CheckpointError) as refusal:
        request.make(outputs=f"head={head}")
    assert says in refusal.value.what
    without = request.make(weights=str(tmp_path))
    assert says in without.head_misfit and "ignored" in without.head_misfit
    assert "head" not in _verify_options(without)
    shutil.copy(HEAD, head)
    assert not without.head_misfit and "head" in _verify_options(without)


def _verify_options(build: Request) -> set[str]:
    stages = [stage for stage in plan.stages(build) if stage.verb == "verify"]
    return {
        argument[2:] for stage in stages for argument in stage.arguments if argument[:2] == "--"
    }


@pytest.mark.parametrize(
    ("pins", "says"),
    [
        ({"8": {"Softmaxx to MatMul": "all"}}, '"Softmaxx" is no operator'),
        ({"16": {"Add to Norm and Ad": "all"}}, '"Ad" is no operator'),
        ({"16": {"Add": "all"}}, '"Add" is no kind'),
        ({"16": {"Add to Norm": ["layer.4.Add_2"]}}, '"layer.4.Add_2", and the network has'),
    ],
)
def test_widths_of_no_network_are_refused_before_any_work(
    tmp_path: Path, pins: dict[str, object], says: str
) -> None:
    file = tmp_path / "widths.json"
    file.write_text(json.dumps(pins))
    with pytest.raises(UsageError) as refusal:
        request.make(widths=str(file))
    assert says in refusal.value.what
    file.write_text(width_pins.FORM)
    assert request.make(widths=str(file)).widths == file


def test_the_size_is_what_the_weights_say(tmp_path: Path) -> None:
    shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path, dirs_exist_ok=True)
    sizes = ({"height": 48, "width": 64}, None)
    for size, expected in zip(sizes, ("48x64", "40"), strict=True):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": size, **COLOURS}))
        config = json.loads((tmp_path / "config.json").read_text()) | {"image_size": 40}
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert str(request.make(weights=str(tmp_path)).size) == expected
    assert str(request.make(weights=str(tmp_path), size="224").size) == "224"


def test_a_repository_of_the_hub_is_told_from_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    timm = "timm/vit_small_patch16_dinov3.lvd1689m"
    assert make(weights=timm).hub_id == HubId(timm)
    assert make(weights=f"{timm}@v1").hub_id == HubId(timm, "v1")
    assert make(weights="hf@v1").hub_id == HubId("facebook/dinov3-vits16-pretrain-lvd1689m", "v1")
    (tmp_path / "timm").mkdir()
    with pytest.raises(CheckpointError, match="though timm is there") as no:
        make(weights=timm)
    assert f"hf://{timm}" in (no.value.remedy or "")
    assert make(weights=f"hf://{timm}").hub_id == HubId(timm)
    shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path / timm)
    assert request.make(weights=timm).weights_path == tmp_path / timm


def test_a_repository_says_its_model_by_name_or_once_it_is_fetched(tmp_path: Path) -> None:
    known = request.make(weights="facebook/dinov3-vitb16-pretrain-lvd1689m")
    assert (known.model.name, known.is_open) == ("vitb16", False)
    build = request.make(weights="someone/finetune@v2", size="64", build_dir=str(tmp_path))
    assert build.is_open
    assert build.root == tmp_path / "hub" / "someone--finetune@v2"
    shutil.copytree(request.BUILTIN_WEIGHTS, build.root / "weights")
    fetched = build.fetched()
    assert (fetched.model.name, str(fetched.size), fetched.hub_id) == ("digits", "64", None)
    assert fetched.root == tmp_path / "digits-64"
    named = request.make(model="vits16", weights="someone/finetune@v2", build_dir=str(tmp_path))
    with pytest.raises(CheckpointError, match="is not vits16"):
        named.fetched()


def test_one_folder_for_both_sets_is_divided(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("L", (1, 1)).save(tmp_path / "a" / "a.png")
    (tmp_path / "same").symlink_to("a")
    both = request.make(images=str(tmp_path / "a"), heldout=str(tmp_path / "same"))
    alone = request.make(images=str(tmp_path / "a"))
    assert both == alone
    note = "--heldout is the folder of --images: some of its pictures are held out"
    assert note in session._unusual(both, [])
    assert note not in session._unusual(alone, [])


def test_a_repository_of_another_model_is_refused_before_it_is_fetched() -> None:
    repository = "facebook/dinov3-vits16-pretrain-lvd1689m"
    assert make(weights=repository).hub_id
    with pytest.raises(UsageError, match="is vits16, not vitb16"):
        make(model="vitb16", weights=repository)


@pytest.mark.parametrize("option", ["images", "heldout"])
def test_a_folder_of_files_that_are_no_pictures_is_refused(tmp_path: Path, option: str) -> None:
    (tmp_path / "good").mkdir()
    Image.new("L", (1, 1)).save(tmp_path / "good" / "a.png")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("<html>")
    folders = {"images": "good"} | {option: "bad"}
    with pytest.raises(CalibrationError, match="bad has no usable picture: 1 of no known format"):
        request.make(**{name: str(tmp_path / folder) for name, folder in folders.items()})


def test_several_precisions_are_a_request_each_in_one_folder() -> None:
    requests = request.each(model="digits", precision="int8, w8a16,fp16", jobs="2")
    assert [build_request.precision.name for build_request in requests] == ["int8", "w8a16", "fp16"]
    assert len({build_request.root for build_request in requests}) == 1
    assert requests[1] == request.make(model="digits", precision="w8a16", jobs="2")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"precision": "int8,int8"}, "names int8 twice"),
        ({"precision": "int8, int8"}, "names int8 twice"),
        ({"precision": ","}, "no name on one side of a comma"),
        ({"precision": "int8,"}, "no name on one side of a comma"),
        ({"precision": "int8,INT8"}, "int8 is the nearest"),
        ({"precision": "int8,"}, "precision"),
        ({"precision": "int8,fp16", "method": "mse"}, "fp16 has no ranges"),
        ({"precision": "int8,mixed", "min_cosine": "0.9"}, "int8 takes no budget"),
        ({"precision": "int8,w8a16", "widths": "{widths}"}, "w8a16 has no widths"),
        ({"precision": "int8,w8a16", "encodings": "some.encodings"}, "file of one precision"),
        ({"precision": "int8", "jobs": "0"}, "whole number from 1"),
    ],
)
def test_what_does_not_go_with_several_precisions_is_named(
    options: dict[str, str], text: str, tmp_path: Path
) -> None:
    (tmp_path / "widths.json").write_text('{"16": {"Softmax to MatMul": "all"}}')
    texts = {name: value.format(widths=tmp_path / "widths.json") for name, value in options.items()}
    with pytest.raises(UsageError, match=text):
        request.each(**texts)
