"""Weights of other people's code, through our reader, against that code's own features.

timm is in no environment of the project: unpack its wheel into a folder and put that on PYTHONPATH
(docs/weights.md); without it, its tests are skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import catalog
from scripts.checkpoint import contents, shapes
from scripts.errors import CheckpointError
from scripts.picture_size import PictureSize
from tests import checkpoints, conventions
from tests.checkpoints import Tensors

pytestmark = pytest.mark.torch

TIMM = {
    "vit_small_patch16_dinov3": "vits16",
    "vit_small_patch16_dinov3_qkvb": "vits16",
    "vit_small_plus_patch16_dinov3": "vits16plus",
    "vit_small_plus_patch16_dinov3_qkvb": "vits16plus",
}
SIZES = [PictureSize.square(224), PictureSize(320, 256)]


def picture(size: PictureSize) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((1, 3, *size.axes)).astype(np.float32)


def features(path: Path, size: PictureSize) -> np.ndarray:
    """Our reading of weights, through the network that `export --check` compares with."""
    from scripts.checkpoint import export, parity

    model = contents.look(path).model()
    source = export.open_source(model, str(path), size)
    network = parity.Torch(source.config, source.weights)
    return network.run([picture(size)])["last_hidden_state"]


def stirred(network: Any) -> Any:
    """Give a network random parameters, none of them trivial, biases and norms included."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.05 + (parameter == 1) * 1.0)
    return network.eval()


@pytest.mark.parametrize("name", TIMM)
def test_timm_s_own_networks_give_timm_s_own_features(tmp_path: Path, name: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not on PYTHONPATH")
    import torch

    network = stirred(timm.create_model(name, num_classes=0, dynamic_img_size=True))
    timm.models.save_for_hf(network, tmp_path, safe_serialization=True)
    look = contents.look(tmp_path)
    assert (look.model().name, look.backbone.convention.name) == (TIMM[name], "timm")
    for size in SIZES:
        with torch.no_grad():
            theirs = network.forward_features(torch.from_numpy(picture(size))).numpy()
        assert np.abs(features(tmp_path, size) - theirs).max() < 1e-4


def of_transformers(name: str) -> tuple[Any, Tensors]:
    """A random network of transformers in the sizes of a family member, and its tensors."""
    from transformers import DINOv3ViTModel

    from scripts.checkpoint import dinov3
    from scripts.checkpoint.tensors import plain_name

    network = stirred(DINOv3ViTModel(dinov3.config_of_catalog(catalog.models()[name])))
    state = network.state_dict().items()
    return network, {plain_name(key): value.numpy() for key, value in state}


@pytest.mark.parametrize("name", ["vits16", "vits16plus"])
def test_meta_s_names_give_the_features_of_transformers(tmp_path: Path, name: str) -> None:
    import torch

    network, values = of_transformers(name)
    file = tmp_path / "dinov3_pretrain_lvd1689m.pth"
    torch.save(
        {key: torch.from_numpy(value) for key, value in conventions.meta(values).items()}, file
    )
    look = contents.look(file)
    assert (look.model().name, look.backbone.convention.name) == (name, "Meta's original")
    size = SIZES[0]
    with torch.no_grad():
        theirs = network(torch.from_numpy(picture(size))).last_hidden_state.numpy()
    assert np.abs(features(file, size) - theirs).max() < 1e-4


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32"])
def test_a_nested_pickle_of_parameters_in_any_precision_is_read(tmp_path: Path, kind: str) -> None:
    import torch

    _, values = of_transformers("vits16")
    dtype = getattr(torch, kind)
    parameters = {
        f"backbone.{key}": torch.nn.Parameter(torch.from_numpy(value).to(dtype))
        for key, value in values.items()
    }
    torch.save({"model": parameters, "epoch": 3}, tmp_path / "pytorch_model.bin")
    opened = contents.Checkpoint(tmp_path, {key: value.shape for key, value in values.items()})
    assert opened.contents.backbone.prefix == "model.backbone."
    name = "layer.3.mlp.up_proj.weight"
    expected = torch.from_numpy(values[name]).to(dtype).float().numpy()
    assert (opened.read(name) == expected).all()


@pytest.mark.parametrize("name", ["model.safetensors", "mine.safetensors"])
def test_a_pickle_under_the_name_of_safetensors_is_read_by_its_content(
    tmp_path: Path, name: str
) -> None:
    import torch

    values = checkpoints.tensors()
    tensors = {key: torch.from_numpy(value) for key, value in values.items()}
    torch.save(tensors, tmp_path / name)
    opened = contents.Checkpoint(tmp_path / name, checkpoints.shapes())
    assert all((opened.read(key) == value).all() for key, value in values.items())


def test_a_training_state_with_code_in_it_is_refused(tmp_path: Path) -> None:
    import argparse

    import torch

    torch.save({"model": {}, "args": argparse.Namespace(rate=1)}, tmp_path / "state.pth")
    with pytest.raises(CheckpointError, match=r"its pickle calls argparse\.Namespace"):
        contents.look(tmp_path)


@pytest.mark.parametrize("name", catalog.models())
def test_the_shapes_held_before_a_build_are_those_of_transformers(name: str) -> None:
    from scripts.checkpoint import dinov3

    model = catalog.models()[name]
    assert shapes.of_model(model, {}) == dinov3.shapes(dinov3.config_of_catalog(model))


@pytest.mark.parametrize("option", ["query", "key", "value", "proj", "mlp"])
@pytest.mark.parametrize("is_set", [True, False])
def test_a_configuration_says_which_layers_have_a_bias(option: str, is_set: bool) -> None:
    from transformers import DINOv3ViTConfig

    from scripts.checkpoint import dinov3

    model = catalog.models()["vits16"]
    config = {f"{option}_bias": is_set, "num_register_tokens": 2, "num_channels": 4}
    expected = dinov3.shapes(DINOv3ViTConfig.from_dict(config))
    assert shapes.of_model(model, config) == expected


def test_a_flipped_bit_that_torch_reads_silently_is_refused(tmp_path: Path) -> None:
    import torch

    file = tmp_path / "model.pth"
    torch.save({"a": torch.arange(5000.0)}, file)
    content = bytearray(file.read_bytes())
    content[content.index(np.float32(2000).tobytes())] ^= 1
    file.write_bytes(content)
    assert torch.load(file)["a"][2000] != 2000
    with pytest.raises(CheckpointError, match=r"is damaged: model/data/0 is not what was written"):
        contents.tensors_of(file)["a"].read()


def test_a_file_that_torch_wrote_without_sums_is_read(tmp_path: Path) -> None:
    import torch

    file = tmp_path / "model.pth"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.arange(5000.0)}, file)
    finally:
        torch.serialization.set_crc32_options(True)
    assert (contents.tensors_of(file)["a"].read() == np.arange(5000)).all()
