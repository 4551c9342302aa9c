import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import docker
from scripts import catalog
from scripts.checkpoint.shapes import of_model
from scripts.console import Console
from scripts.errors import EngineError, PipelineError
from scripts.image import image
from scripts.image.image import Image as BuildImage
from scripts.pipeline import doctor, engine, forecast, hub, request
from scripts.pipeline.request import Request
from tests import checkpoints
from tests.unit.pipeline.test_remote import PAGE, answered, serving


def request_for(model: str, weights: str = "random") -> Request:
    return request.make(model=model, precision="int8", target="iq9075", weights=weights)


def test_parameters_of_vith16plus_are_those_of_the_published_checkpoint() -> None:
    assert request_for("vith16plus").model.parameters == 840_592_640


def test_no_engine_is_a_finding_and_not_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*, start: bool) -> None:
        raise EngineError("No container engine answers.", remedy="install one")

    monkeypatch.setattr(engine, "connect", refuse)
    findings = doctor.examine(request_for("digits", ""))
    of_this_machine = ("memory", "disk")
    unfit = [row.part for row in findings if not row.well and row.part not in of_this_machine]
    assert unfit == ["engine"]


def test_too_little_memory_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forecast, "available_memory", lambda: 1_000_000_000)
    finding = doctor._memory(request_for("vith16plus"))
    assert not finding.well
    with pytest.raises(PipelineError, match="memory"):
        doctor.show(Console(), [finding])
    assert "larger machine" in capsys.readouterr().out


def test_hub_weights_need_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "token", str)
    finding = doctor._weights(request_for("vits16", "hf"))
    assert not finding.well
    assert "licence" in finding.remedy


def test_weights_that_are_not_gated_need_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "token", str)
    assert doctor._weights(request_for("vits16", "timm/vit_small_patch16_dinov3.lvd1689m")).well


@pytest.mark.parametrize("weights", ["someone/finetune", "timm/vit_small_patch16_dinov3.lvd1689m"])
def test_what_is_not_known_before_a_repository_is_fetched_is_said(
    monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    monkeypatch.setattr(hub, "token", str)
    findings = {row.part: row for row in doctor.examine(request.make(weights=weights))}
    assert f"invoke fetch --weights hf://{weights}@main" in findings["network"].state
    assert findings["network"].well and findings["weights"].well
    assert not findings.keys() & {"memory", "size", "board"}


def test_the_size_is_said_with_its_origin(tmp_path: Path) -> None:
    file = checkpoints.of_model(tmp_path / "model.safetensors", "vits16")

    def state(**texts: str) -> str:
        return doctor._size(request.make(**texts)).state

    assert state(weights=str(file)) == "224 x 224 pixels: the usual size of vits16"
    assert state(weights="facebook/dinov3-vits16-pretrain-lvd1689m").endswith("say another")
    (tmp_path / "config.json").write_text(
        '{"architecture": "x", "pretrained_cfg": {"input_size": [3, 256, 256]}}'
    )
    folder = str(tmp_path)
    assert state(weights=folder) == "256 x 256 pixels: config.json says it"
    assert state(weights=folder, size="64x32").startswith("64 x 32 pixels: as --size says; the w")
    (tmp_path / "preprocessor_config.json").write_text(
        '{"size": 512, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}'
    )
    assert "the latter counts" in state(weights=folder)


def test_tensors_that_are_left_out_are_said(tmp_path: Path) -> None:
    shapes = of_model(catalog.models()["digits"], {})
    tensors = {f"backbone.{name}": np.ones(shape, np.float32) for name, shape in shapes.items()}
    tensors["classifier.weight"] = np.ones((10, 96), np.float32)
    checkpoints.write_safetensors(tmp_path / "wrapped.safetensors", tensors)
    state = doctor._weights(request.make(weights=str(tmp_path))).state
    assert state.endswith("; left out: 1 tensor (classifier.weight)")


def test_values_that_are_no_numbers_are_found(tmp_path: Path) -> None:
    shapes = of_model(catalog.models()["digits"], {})
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    tensors["layer.2.mlp.down_proj.weight"][5, 7] = np.nan
    checkpoints.write_safetensors(tmp_path / "diverged.safetensors", tensors)
    finding = doctor._weights(request.make(weights=str(tmp_path)))
    assert not finding.well
    assert finding.state.endswith("tensor layer.2.mlp.down_proj.weight has NaN or infinite values.")


def test_weights_are_described_in_one_line() -> None:
    state = doctor._weights(request_for("digits", "builtin")).state
    assert "0.5 M parameters, float32, Hugging Face names, model.safetensors" in state


def test_a_proxy_that_cannot_be_used_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "token", lambda: "hf_x")
    monkeypatch.setenv("https_proxy", "socks5://proxy.test")
    finding = doctor._weights(request_for("vits16", "hf"))
    assert not finding.well
    assert finding.state.startswith("https_proxy names no proxy")
    assert finding.remedy


def test_an_image_that_will_be_pulled_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = f"registry.test/x@sha256:{'1' * 64}"
    monkeypatch.setenv(image.REFERENCE_VARIABLE, reference)
    monkeypatch.setattr(image, "find", lambda client, lane: None)
    finding = doctor._image(docker.DockerClient("tcp://127.0.0.1:1", version="1.41"), "bookworm")
    assert finding.well
    assert reference in finding.state


def test_an_image_that_build_refuses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(image.REFERENCE_VARIABLE, "x")
    monkeypatch.setattr(
        image, "find", lambda client, lane: BuildImage("id", "t", lane, "c", "i", 1)
    )
    finding = doctor._image(docker.DockerClient("tcp://127.0.0.1:1", version="1.41"), "bookworm")
    assert not finding.well
    assert finding.state == "x does not name an image by its digest."
    assert "sha256" in finding.remedy


def _refused(code: int) -> Callable[..., None]:
    def refuse(*, dir: Path) -> None:
        raise OSError(code, os.strerror(code), str(dir / "tmp"))

    return refuse


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.EROFS, "{} is on a read-only file system."),
        (errno.EACCES, "{}: permission denied."),
    ],
)
def test_a_folder_that_cannot_be_written_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    build_request = request.make(model="digits", build_dir=str(tmp_path / "not/there"))
    monkeypatch.setattr(tempfile, "TemporaryFile", _refused(code))
    finding = doctor._disk(build_request)
    assert not finding.well
    assert finding.state == says.format(tmp_path)
    assert "--build-dir" in finding.remedy
    assert not (tmp_path / "not").exists()


def test_a_file_in_place_of_a_builds_folder_is_found(tmp_path: Path) -> None:
    build_request = request.make(model="digits", build_dir=str(tmp_path))
    assert not doctor._disk(build_request).state.startswith(str(tmp_path))
    build_request.root.write_text("")
    finding = doctor._disk(build_request)
    assert not finding.well
    assert finding.state.startswith(f"{build_request.root}: Not a directory")


def test_pictures_are_looked_at_as_calibrate_does(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    for number in range(20):
        noise = dice.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    Image.fromarray(dice.integers(0, 3, (20, 20), np.uint8) * 99).save(tmp_path / "mask.png")
    (tmp_path / "notes.txt").touch()
    (finding,) = doctor._pictures(request.make(images=str(tmp_path)))
    assert finding.part == "pictures" and finding.well
    assert "16 of 16 pictures looked at can be used" in finding.state
    assert "left out: 1 of other kinds (.txt)" in finding.state
    assert f"{tmp_path} has 21" in finding.state


def test_pictures_of_which_none_can_be_used_are_found(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for number in range(20):
        Image.new("L", (20, 20), number).save(tmp_path / "masks" / f"{number}.png")
    Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(tmp_path / "a.png")
    build_request = request.make(images=str(tmp_path / "masks"), heldout=str(tmp_path))
    findings = {finding.part: finding for finding in doctor._pictures(build_request)}
    masks, mixed = findings["pictures"], findings["held-out pictures"]
    assert not masks.well
    assert masks.state.startswith("0 of 20 pictures looked at can be used; left out: 20 without")
    assert "--images" in masks.remedy
    assert mixed.well


def test_a_network_beyond_the_address_space_is_found() -> None:
    finding = doctor._board(request_for("vit7b16"))
    assert not finding.well
    assert "6.7 GB for its weights alone" in finding.state
    assert doctor._board(request_for("vith16plus")).well


def test_a_precision_that_the_board_lacks_is_found() -> None:
    finding = doctor._board(request.make(target="qcs6490", precision="fp16"))
    assert not finding.well
    assert "cannot compute fp16" in finding.state
    assert finding.remedy == "choose --precision w8a16 or int8 or mixed or w4a16 or w4a8"


def test_of_several_precisions_each_is_held_to_the_board() -> None:
    requests = request.each(target="qcs6490", precision="int8,w8a16,fp16", build_dir="/nowhere/x")
    findings = [row for row in doctor.examine(*requests) if row.part == "board"]
    assert [row.well for row in findings] == [True, False]
    assert "cannot compute fp16" in findings[1].state


def test_a_processor_whose_figures_differ_is_said() -> None:
    assert doctor._processor(["fma", "avx2"]).state == "AVX2"
    old = doctor._processor(["sse4_2"])
    assert old.well and "figures of verify may differ" in old.state
    assert "fpu" in doctor._processor_flags()


def test_a_cache_that_does_not_answer_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    (finding,) = doctor._cache(request.make(cache="http://127.0.0.1:1/x"))
    assert finding.well and finding.warns and "does not answer" in finding.state
    doctor.show(Console(), [finding])
    out = capsys.readouterr().out
    assert "warn  cache" in out and f"cache: {finding.remedy}" in out


def test_a_cache_that_answers_with_pages_is_a_warning() -> None:
    with serving(answered(PAGE)) as address:
        (finding,) = doctor._cache(request.make(cache=address))
    assert finding.warns and "answers with a page" in finding.state


def test_a_cache_that_a_build_would_refuse_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DINOV3_QNN_CACHE_TOKEN", "x")
    (finding,) = doctor._cache(request.make(cache="http://cache.test/x"))
    assert not finding.well and "in clear" in finding.state
