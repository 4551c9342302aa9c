from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from scripts import catalog
from scripts.errors import ArtefactError, CheckpointError, ConversionError, UsageError
from scripts.picture_size import PictureSize
from tests import checkpoints

pytestmark = pytest.mark.torch

GATED = checkpoints.CONFIG
PLAIN = GATED | {"use_gated_mlp": False, "hidden_act": "gelu"}
SIZE = PictureSize.square(32)
DIGITS = Path(catalog.__file__).parent / "digits"


def model_of(config: dict[str, Any]) -> catalog.Model:
    return catalog.Model(
        name="tiny",
        description="",
        weights="",
        image_size=config["image_size"],
        patch_size=config["patch_size"],
        images="",
        calibration_images=1,
        verify_images=1,
        simulated_images=1,
        hidden_size=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        intermediate_size=config["intermediate_size"],
        gated_mlp=config["use_gated_mlp"],
    )


def export_tiny(folder: Path, checkpoint: Path, config: dict[str, Any]) -> Path:
    from scripts.checkpoint import export

    folder.mkdir(parents=True, exist_ok=True)
    source = export.open_source(model_of(config), str(checkpoint), SIZE)
    export.write(source, "tiny", folder / "tiny.onnx")
    return folder / "tiny.onnx"


def picture_set(folder: Path, size: int = 32) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(5).standard_normal((2, 3, size, size)).astype(np.float32)
    for number, picture in enumerate(pixels):
        (folder / f"{number}.raw").write_bytes(picture.tobytes())
    images = [{"raw": f"{number}.raw"} for number in range(2)]
    (folder / "manifest.json").write_text(json.dumps({"images": images}))
    return folder


def features_of_torch(checkpoint: Path, pixels: np.ndarray) -> np.ndarray:
    import torch
    from transformers import DINOv3ViTModel

    network = DINOv3ViTModel.from_pretrained(checkpoint).eval()
    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(pixels)).last_hidden_state)


def features_of_onnx(file: Path, pixels: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["pixel_values"]
    assert [value.name for value in session.get_outputs()] == ["last_hidden_state"]
    return np.asarray(session.run(None, {"pixel_values": pixels})[0])


@pytest.mark.parametrize(("config", "layers"), [(GATED, 1), (GATED, 2), (GATED, 5), (PLAIN, 4)])
def test_the_file_computes_what_transformers_computes(
    tmp_path: Path, config: dict[str, Any], layers: int
) -> None:
    config = config | {"num_hidden_layers": layers}
    folder = checkpoints.write(tmp_path / "hf", config=config, shards=2)
    file = export_tiny(tmp_path, folder, config)
    pixels = np.random.default_rng(1).standard_normal((1, 3, 32, 32)).astype(np.float32)
    expected = features_of_torch(folder, pixels)
    actual = features_of_onnx(file, pixels)
    assert actual.shape == (1, 1 + 4 + 16, 32)
    assert np.abs(actual - expected).max() < 1e-4


def test_names_tell_where_and_nothing_tells_when_or_by_whom(tmp_path: Path) -> None:
    file = export_tiny(tmp_path, checkpoints.write(tmp_path / "hf"), GATED)
    model = onnx.load(file, load_external_data=False)
    onnx.checker.check_model(str(file), full_check=True)
    nodes = [node.name for node in model.graph.node]
    assert len(set(nodes)) == len(nodes)
    assert "layer.2.attention.q_proj.MatMul" in nodes
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    weights = {tensor.name for tensor in model.graph.initializer if tensor.external_data}
    assert weights == checkpoints.shapes().keys() - {"embeddings.mask_token"}
    shapes = {value.name for value in model.graph.value_info} | {"last_hidden_state"}
    assert shapes == {name for node in model.graph.node for name in node.output}


def test_weights_stand_aligned_in_one_file_in_the_order_of_their_use(tmp_path: Path) -> None:
    file = export_tiny(tmp_path, checkpoints.write(tmp_path / "hf"), GATED)
    model = onnx.load(file, load_external_data=False)
    places = [
        {entry.key: entry.value for entry in tensor.external_data}
        for tensor in model.graph.initializer
        if tensor.external_data
    ]
    assert {place["location"] for place in places} == {"tiny.onnx_data"}
    offsets = [int(place["offset"]) for place in places]
    assert offsets == sorted(set(offsets))
    assert not any(offset % 4096 for offset in offsets)
    end = offsets[-1] + int(places[-1]["length"])
    assert end == (tmp_path / "tiny.onnx_data").stat().st_size


def test_sharding_does_not_change_a_byte(tmp_path: Path) -> None:
    files = [
        export_tiny(
            tmp_path / name, checkpoints.write(tmp_path / name / "hf", shards=shards), GATED
        )
        for name, shards in (("whole", 1), ("sharded", 3))
    ]
    for suffix in (".onnx", ".onnx_data"):
        first, second = (file.with_suffix(suffix).read_bytes() for file in files)
        assert first == second


def test_two_processes_in_two_places_write_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for number, zone in enumerate(("UTC", "Asia/Tokyo")):
        out = tmp_path / f"place{number}"
        command = [sys.executable, "-m", "scripts.stages.export", "--out", str(out)]
        command += ["--model", "digits", "--weights", str(DIGITS), "--size", "32"]
        surroundings = {"PYTHONHASHSEED": str(number), "TZ": zone, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=os.environ | surroundings)
        files = sorted((out / "models").iterdir())
        written.append([(file.name, file.read_bytes()) for file in files])
    assert written[0] == written[1]
    assert [name for name, _ in written[0]] == [
        f"dinov3_digits_eager{suffix}" for suffix in (".json", ".onnx", ".onnx_data")
    ]


def test_random_weights_are_marked_synthetic(tmp_path: Path) -> None:
    from scripts.stages import export as export_stage

    check = picture_set(tmp_path / "set")
    arguments = argparse.Namespace(
        out=tmp_path, model="digits", weights="random:7", size=SIZE, outputs="tokens", check=check
    )
    export_stage.main(arguments)
    model = onnx.load(tmp_path / "models/dinov3_digits_eager.onnx", load_external_data=False)
    assert {entry.key: entry.value for entry in model.metadata_props}["synthetic"] == "random:7"
    report = json.loads((tmp_path / "models/dinov3_digits_eager.json").read_text())
    assert report["synthetic"] == "random:7"
    assert report["parameters"] == 467_552
    assert report["parity"] == {"pictures": 2, "cosine": 1.0, "max_abs_at_most": 1e-5}


def test_a_weight_that_is_not_the_checkpoint_s_is_noticed(tmp_path: Path) -> None:
    from scripts.checkpoint import export

    checkpoint = checkpoints.write(tmp_path / "hf")
    file = export_tiny(tmp_path, checkpoint, GATED)
    source, pictures = (
        export.open_source(model_of(GATED), str(checkpoint), SIZE),
        picture_set(tmp_path),
    )
    assert export.check(source, file, pictures)["cosine"] == 1.0
    with file.with_suffix(".onnx_data").open("r+b") as data:
        data.seek(8)
        data.write(np.float32(3).tobytes())
    with pytest.raises(ConversionError, match="differs from torch"):
        export.check(source, file, pictures)


def test_a_set_of_another_size_is_refused(tmp_path: Path) -> None:
    from scripts.checkpoint import export

    with pytest.raises(ArtefactError, match="32 x 32"):
        export.read_pictures(picture_set(tmp_path, size=16), SIZE)


def test_a_constant_that_hides_a_weight_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.checkpoint import dinov3, trace

    monkeypatch.setattr(trace, "_fingerprints", lambda _: {})
    with pytest.raises(ConversionError, match="not understood"):
        trace.trace(dinov3.config_of_catalog(catalog.models()["digits"]), SIZE)


def test_weights_of_another_family_member_are_refused() -> None:
    from scripts.checkpoint import export

    with pytest.raises(CheckpointError, match="is not vits16: its hidden_size is 96, not 384"):
        export.open_source(catalog.models()["vits16"], str(DIGITS), SIZE)


def test_a_field_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    from scripts.checkpoint import export

    folder = checkpoints.write(tmp_path)
    (folder / "config.json").write_text(json.dumps(GATED | {"hidden_size": "large"}))
    with pytest.raises(CheckpointError, match="hidden_size"):
        export.open_source(model_of(GATED), str(folder), SIZE)


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    from scripts.stages import export as export_stage

    with pytest.raises(UsageError, match="vitx"):
        export_stage.main(
            argparse.Namespace(
                out=tmp_path,
                model="vitx",
                weights="random",
                size=SIZE,
                outputs="tokens",
                check=None,
            )
        )


@pytest.mark.torch
@pytest.mark.parametrize("text", ["8x8", "24x40", "320x336"])
def test_any_size_that_patches_divide_is_the_same_as_torch(tmp_path: Path, text: str) -> None:
    """Above 256 x 256 the exporter leaves the angles' arithmetic as nodes: it is folded here."""
    from scripts.checkpoint import dinov3, export, parity

    size = PictureSize.parse(text)
    source = export.open_source(catalog.models()["digits"], "random:1", size)
    export.write(source, "digits", tmp_path / "any.onnx")
    picture = np.random.default_rng(2).standard_normal((1, 3, *size.axes)).astype(np.float32)
    tokens = 1 + source.config.num_register_tokens + prod(size.patches(source.config.patch_size))
    ours = parity.run_onnx(tmp_path / "any.onnx", [picture])["last_hidden_state"]
    assert ours.shape == (1, tokens, source.config.hidden_size)
    network = parity.Torch(source.config, source.weights)
    parity.compare(tmp_path / "any.onnx", network, [picture]).require()
    assert dinov3.shapes(source.config) == source.shapes


def test_damage_in_weights_is_found_before_the_trace(tmp_path: Path) -> None:
    import torch

    from scripts.checkpoint import export

    values = checkpoints.tensors(GATED)
    last = "layer.2.mlp.down_proj.weight"
    file = tmp_path / "model.pth"
    torch.save({name: torch.from_numpy(value) for name, value in values.items()}, file)
    content = bytearray(file.read_bytes())
    content[content.index(values[last].tobytes()) + 40] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not what was written"):
        export.open_source(model_of(GATED), str(file), SIZE)
    values[last][0, 0] = np.nan
    with pytest.raises(CheckpointError, match=r"down_proj\.weight has NaN"):
        export.open_source(model_of(GATED), str(checkpoints.write(tmp_path / "nan", values)), SIZE)
