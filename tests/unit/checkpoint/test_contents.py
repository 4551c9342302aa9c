"""Weights as people have them: recognised by content, without torch."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scripts import catalog
from scripts.checkpoint import contents, pickled
from scripts.checkpoint.contents import Checkpoint
from scripts.errors import CheckpointError
from scripts.pipeline import request
from tests import checkpoints, conventions, pickles
from tests.checkpoints import Tensors
from tests.pickles import Made

SHAPES = checkpoints.shapes()
VALUES = checkpoints.tensors()
TENSOR = np.ones(3, np.float32)
PLAIN = checkpoints.CONFIG | {"use_gated_mlp": False}


def read(path: Path) -> Tensors:
    opened = Checkpoint(path, SHAPES)
    return {name: opened.read(name) for name in opened.names}


def same(values: Tensors, expected: Tensors) -> bool:
    return all((value == expected[name]).all() for name, value in values.items())


def snapshot(folder: Path) -> Path:
    """A cache of Hugging Face: blobs by their hash, and a snapshot of links to them."""
    whole = checkpoints.write(folder / "whole", shards=2)
    blobs, taken = folder / "blobs", folder / "snapshots" / "abc"
    blobs.mkdir()
    taken.mkdir(parents=True)
    for number, file in enumerate(sorted(whole.iterdir())):
        file.rename(blobs / f"{number:040x}")
        (taken / file.name).symlink_to(Path("../../blobs") / f"{number:040x}")
    return taken


def test_links_of_a_snapshot_are_seen_as_the_files_that_they_lead_to(tmp_path: Path) -> None:
    taken = snapshot(tmp_path)
    pattern = contents.seen(taken)
    assert set(pattern) == {file.name for file in taken.iterdir()}
    assert all(path.parent == tmp_path / "blobs" and path.is_file() for path in pattern.values())
    assert same(read(taken), VALUES)


def test_a_link_whose_blob_is_gone_is_refused(tmp_path: Path) -> None:
    taken = snapshot(tmp_path)
    (taken / "model-00002-of-00002.safetensors").resolve().unlink()
    with pytest.raises(CheckpointError, match="lacks 1 of 2 shards"):
        contents.look(taken)


def test_other_files_of_a_folder_are_not_seen(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path)
    for name in ("LICENSE.md", "README.md", "notes.txt"):
        (folder / name).write_text("")
    assert set(contents.seen(folder)) == {"LICENSE.md", "config.json", "model.safetensors"}
    assert set(contents.seen(folder / "model.safetensors")) == {"LICENSE.md", "model.safetensors"}


@pytest.mark.parametrize("name", ["model.safetensors", "mine.safetensors", "weights.pth"])
def test_one_file_and_a_folder_with_one_are_read_by_their_content(
    tmp_path: Path, name: str
) -> None:
    checkpoints.write_safetensors(tmp_path / name, VALUES)
    assert same(read(tmp_path / name), VALUES)
    assert same(read(tmp_path), VALUES)


@pytest.mark.parametrize("name", ["weights.pth", "weights.bin", "weights.safetensors"])
def test_a_header_as_long_as_an_old_pickle_begins_is_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    checkpoints.write_safetensors(file, VALUES)
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    padding = (0x80 - length) % 0x100
    header = content[8 : 8 + length] + b" " * padding
    file.write_bytes((length + padding).to_bytes(8, "little") + header + content[8 + length :])
    assert file.read_bytes()[:1] == b"\x80"
    assert same(read(file), VALUES)


def test_several_files_are_no_choice_of_ours(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        checkpoints.write_safetensors(tmp_path / name, VALUES)
    with pytest.raises(CheckpointError, match=r"2 files of weights: a\.safetensors, b\.saf"):
        contents.look(tmp_path)


@pytest.mark.parametrize(
    "prefix", ["backbone.", "dinov3.", "model.", "net.vit.", "student@net/", "module."]
)
def test_a_backbone_is_found_in_what_wraps_it(tmp_path: Path, prefix: str) -> None:
    wrapped = {prefix + name: value for name, value in VALUES.items()}
    other = {"head.weight": np.ones((10, 32), np.float32), "head.bias": np.ones(10, np.float32)}
    checkpoints.write_safetensors(tmp_path / "whole.safetensors", wrapped | other)
    assert same(read(tmp_path), VALUES)
    look = contents.look(tmp_path)
    assert look.remainder == "left out: 2 tensors (head.bias, head.weight)"
    assert look.backbone.prefix == prefix


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("state_dict.module.fc.weight", "state_dict.module.fc"),
        ("state_dict.decoder.0.weight", "state_dict.decoder"),
        ("state_dict.fc", "state_dict.fc"),
        ("optimizer.state.0.exp_avg", "optimizer.state"),
    ],
)
def test_what_is_left_out_is_named_by_what_is_not_the_backbone_s(
    tmp_path: Path, name: str, part: str
) -> None:
    wrapped = {f"state_dict.module.{own}": value for own, value in VALUES.items()}
    wrapped[name] = np.ones(3, np.float32)
    checkpoints.write_safetensors(tmp_path / "whole.safetensors", wrapped)
    assert contents.look(tmp_path).remainder == f"left out: 1 tensor ({part})"


@pytest.mark.parametrize("content", [[], [TENSOR], TENSOR, {}], ids=["none", "list", "one", "dict"])
def test_tensors_without_a_name_are_called_that(tmp_path: Path, content: object) -> None:
    file = pickles.write(tmp_path / "some.pth", content)
    with pytest.raises(CheckpointError, match=r"some\.pth holds no tensors by name\.\n"):
        contents.look(file)


def test_a_few_tensors_of_another_network_are_named(tmp_path: Path) -> None:
    file = pickles.write(tmp_path / "some.pth", {"a.xreg_token": TENSOR})
    with pytest.raises(CheckpointError, match=r"among 1 tensor: a\.xreg_token\.\n"):
        contents.look(file)


def test_two_backbones_are_refused(tmp_path: Path) -> None:
    both = {
        f"{who}.{name}": value for who in ("student", "teacher") for name, value in VALUES.items()
    }
    checkpoints.write_safetensors(tmp_path / "both.safetensors", both)
    with pytest.raises(CheckpointError, match="2 backbones"):
        contents.look(tmp_path)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("adapter_config.json", "merge_and_unload"),
        (".metadata", "torch.distributed.checkpoint.format_utils dcp_to_torch"),
        ("zero_to_fp32.py", "zero_to_fp32.py"),
    ],
)
def test_parts_are_refused_with_the_command_that_merges_them(
    tmp_path: Path, name: str, command: str
) -> None:
    (tmp_path / name).write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="holds a") as caught:
        contents.look(tmp_path)
    assert command in caught.value.remedy


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (["meta.pt", ".metadata", "__0_0.distcp"], "lightning.pytorch.utilities.consolidate"),
        (["meta.pt", "__0_0.distcp"], "lightning.pytorch.utilities.consolidate"),
        (["__0_0.distcp", "__1_0.distcp"], "dcp_to_torch"),
    ],
)
def test_a_folder_of_lightning_or_without_hidden_files_is_named(
    tmp_path: Path, names: list[str], command: str
) -> None:
    folder = tmp_path / "epoch=0-step=3.ckpt"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="distributed checkpoint") as refused:
        contents.look(folder)
    assert command in refused.value.remedy
    with pytest.raises(CheckpointError, match="no weights in") as refused:
        contents.look(tmp_path)
    assert str(folder) in refused.value.remedy


def test_a_cache_is_refused_with_its_snapshot(tmp_path: Path) -> None:
    taken = snapshot(tmp_path)
    with pytest.raises(CheckpointError, match="no weights in") as refused:
        contents.look(tmp_path / "blobs")
    assert "snapshots" not in refused.value.remedy
    (tmp_path / "whole").rmdir()
    with pytest.raises(CheckpointError, match="no weights in") as refused:
        contents.look(tmp_path)
    assert f"--weights {taken}" in refused.value.remedy


def test_one_shard_is_refused_with_its_directory(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, shards=2)
    for name, says in (("*-of-00002.safetensors", "one of 2 shards"), ("*.index.json", "the list")):
        for file in tmp_path.glob(name):
            with pytest.raises(CheckpointError, match=says) as refused:
                contents.look(file)
            assert str(tmp_path) in refused.value.remedy
    checkpoints.write_safetensors(tmp_path / "x-00001-of-00001.safetensors", VALUES)
    assert contents.look(tmp_path / "x-00001-of-00001.safetensors").backbone.tensors


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("stem", ["model", "mine"])
def test_shards_without_their_list_are_refused_with_its_name(
    tmp_path: Path, stem: str, lost: int
) -> None:
    checkpoints.write(tmp_path, shards=2)
    for file in tmp_path.glob("*.safetensors"):
        file.rename(tmp_path / file.name.replace("model", stem))
    (tmp_path / "model.safetensors.index.json").unlink()
    if lost == 1:
        (tmp_path / f"{stem}-00001-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=f" {stem}.safetensors.index.json is mis") as refused:
        contents.look(tmp_path)
    assert refused.value.remedy == f"fetch {stem}.safetensors.index.json as well"


def test_shards_under_another_name_are_read_by_their_list(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, shards=2)
    for file in tmp_path.glob("*model*"):
        text = file.read_bytes().replace(b"model-0000", b"mine-0000")
        file.with_name(file.name.replace("model", "mine")).write_bytes(text)
        file.unlink()
    assert same(read(tmp_path), VALUES)


def test_a_directory_with_one_ckpt_is_read(tmp_path: Path) -> None:
    file = pickles.write(tmp_path / "last.ckpt", {"state_dict": VALUES, "epoch": 3})
    look = contents.look(tmp_path)
    assert look.files == (file,)
    assert look.backbone.prefix == "state_dict."


@pytest.mark.parametrize("config", [checkpoints.CONFIG, PLAIN], ids=["gated", "plain"])
@pytest.mark.parametrize("rename", [conventions.timm, conventions.timm_qkvb, conventions.meta])
def test_other_names_give_the_same_tensors(
    tmp_path: Path, rename: Callable[[Tensors], Tensors], config: dict[str, object]
) -> None:
    values, shapes = checkpoints.tensors(config), checkpoints.shapes(config)
    if rename is conventions.timm:  # which has no biases there
        values |= {name: value * 0 for name, value in values.items() if conventions.is_qv(name)}
    file = tmp_path / "other.safetensors"
    checkpoints.write_safetensors(file, rename(values), "F32")
    opened = Checkpoint(file, shapes)
    assert set(opened.names) == shapes.keys() - {"embeddings.mask_token"}
    assert all((opened.read(name) == values[name]).all() for name in opened.names)


def test_a_tensor_too_many_is_named_under_other_names_too(tmp_path: Path) -> None:
    values = conventions.timm(VALUES) | {"blocks.1.attn.extra": np.ones(3, np.float32)}
    checkpoints.write_safetensors(tmp_path / "more.safetensors", values)
    with pytest.raises(CheckpointError, match=r"blocks\.1\.attn\.extra is not part"):
        Checkpoint(tmp_path, SHAPES)


@pytest.mark.parametrize("name", catalog.models())
def test_the_family_is_told_by_its_shapes(tmp_path: Path, name: str) -> None:
    folder = "sat493m" if name.endswith("-sat") else "lvd1689m"
    (tmp_path / folder).mkdir()
    file = checkpoints.of_model(tmp_path / folder / "some.safetensors", name)
    look = contents.look(file)
    assert look.model().name == name
    # Less the mask token, which the exported network does not have.
    model = catalog.models()[name]
    assert look.parameters in (model.parameters, model.parameters + model.hidden_size)
    assert f"({name})" in look.summary(look.model())
    assert "float32, Hugging Face names, some.safetensors" in look.summary(look.model())


def test_satellites_are_told_by_their_colours(tmp_path: Path) -> None:
    checkpoints.of_model(tmp_path / "model.safetensors", "vitl16")
    own = '"pretrained_cfg": {"mean": %s, "std": [1, 1, 1]}'
    config = f'{{"architecture": "vit_large_patch16_dinov3", {own}}}'
    for name in ("vitl16", "vitl16-sat"):
        mean = list(catalog.models()[name].mean)
        (tmp_path / "config.json").write_text(config % mean)
        assert contents.look(tmp_path).model().name == name


def of_timm(folder: Path, network: str, architecture: object) -> Path:
    checkpoints.of_model(folder / "model.safetensors", network)
    (folder / "config.json").write_text(json.dumps({"architecture": architecture}))
    return folder


@pytest.mark.parametrize("model", ["", "vits16"])
@pytest.mark.parametrize(
    "architecture",
    [
        "vit_small_patch14_dinov2",
        "vit_large_patch16_dinov3",
        "vit_small_plus_patch16_dinov3.lvd1689m",
        "convnext_small.dinov3_lvd1689m",
    ],
)
def test_a_configuration_of_timm_of_another_network_is_refused(
    tmp_path: Path, architecture: str, model: str
) -> None:
    looked = contents.look(of_timm(tmp_path, "vits16", architecture))
    with pytest.raises(CheckpointError, match=f"architecture {architecture}, and the weights .*16"):
        looked.require(catalog.models()[model]) if model else looked.model()


@pytest.mark.parametrize(
    ("network", "architecture"),
    [
        ("vits16", "vit_small_patch16_dinov3"),
        ("vits16", "vit_small_patch16_dinov3_qkvb"),
        ("vits16", "vit_small_patch16_dinov3.lvd1689m"),
        ("vits16plus", "vit_small_plus_patch16_dinov3"),
        ("vitb16", "vit_base_patch16_dinov3"),
        ("vitl16", "vit_large_patch16_dinov3"),
        ("vitl16", "vit_large_patch16_dinov3.sat493m"),
        ("vith16plus", "vit_huge_plus_patch16_dinov3"),
        ("vit7b16", "vit_7b_patch16_dinov3"),
        ("vits16", "our_vit"),
        ("vits16", None),
    ],
)
def test_a_configuration_of_timm_of_the_network_is_taken(
    tmp_path: Path, network: str, architecture: object
) -> None:
    assert contents.look(of_timm(tmp_path, network, architecture)).model().name == network


def test_a_network_of_other_sizes_is_refused(tmp_path: Path) -> None:
    checkpoints.write(tmp_path)
    with pytest.raises(CheckpointError, match="no DINOv3 ViT known here: patch_size 8"):
        contents.look(tmp_path).model()


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    values = {"blocks.0.norm1.weight": np.ones(3, np.float32)}
    checkpoints.write_safetensors(tmp_path / "dinov2.safetensors", values)
    with pytest.raises(CheckpointError, match="holds no DINOv3 ViT"):
        contents.look(tmp_path)


class Evil:
    """What a hostile pickle does: it names a function, and the reader calls it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_with_code_in_it_is_refused_by_name_and_never_run(tmp_path: Path) -> None:
    file, mark = tmp_path / "evil.pth", tmp_path / "ran"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps({"a": Evil(mark)}))
    with pytest.raises(CheckpointError, match=r"has code in it: its pickle calls \w+\.system"):
        contents.look(file)
    assert not mark.exists()


TENSORS = {"a.weight": np.ones((2, 3), np.float32), "a.bias": np.zeros(2, np.float32)}
WHOLE = Made("torch.nn.modules.linear.Linear", (), {"_parameters": TENSORS})


@pytest.mark.parametrize(
    ("content", "called", "expression"),
    [
        (WHOLE, "torch.nn.modules.linear.Linear", "content.state_dict()"),
        (
            {"state_dict": TENSORS, "hyper_parameters": Made("omegaconf.DictConfig"), "epoch": 3},
            "omegaconf.DictConfig",
            "content['state_dict']",
        ),
        (
            {"epoch": 1, "ema": WHOLE, "args": Made("argparse.Namespace")},
            "",
            "content['ema'].state",
        ),
        ({**TENSORS, "args": Made("argparse.Namespace")}, "argparse.Namespace", "torch.is_tensor"),
        ([TENSORS, Made("a.b")], "a.b", "with the key that holds them"),
    ],
)
def test_the_way_out_of_a_pickle_with_code_is_that_of_its_content(
    tmp_path: Path, content: object, called: str, expression: str
) -> None:
    file = pickles.write(tmp_path / "whole.pt", content)
    with pytest.raises(CheckpointError, match=f"its pickle calls {called}") as refused:
        contents.look(file)
    assert expression in refused.value.remedy
    compile(refused.value.remedy.split('"')[1], "remedy", "exec")


def pasted(remedy: str) -> list[str]:
    """What the command in a remedy calls Python with, in a shell that expands what it can."""
    command = remedy[remedy.index("`") + 1 : remedy.rindex("`")]
    shell = f"python() {{ printf '%s\\0' \"$@\"; }}; {command}"
    return subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=True
    ).stdout.split("\0")[:-1]


ODD = "o'dd \"sp$HOME `id` !"


@pytest.mark.parametrize(
    "name", ["adapter_config.json", ".metadata", "zero_to_fp32.py", "meta.pt", "0.distcp"]
)
def test_a_command_that_merges_parts_can_be_pasted(tmp_path: Path, name: str) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    for file in {name, *(["0.distcp"] if name == "meta.pt" else [])}:
        (folder / file).write_text("{}")
    with pytest.raises(CheckpointError) as refused:
        contents.look(folder)
    words = pasted(refused.value.remedy)
    assert str(folder) in words
    if words[0] == "-c":
        compile(words[1], "remedy", "exec")
    else:
        assert all(str(folder) in word for word in words if "o'dd" in word)


@pytest.mark.parametrize("key", ["state_dict", "it's $HOME `id` \"!\\"])
def test_a_command_that_saves_tensors_alone_can_be_pasted(tmp_path: Path, key: str) -> None:
    content = {key: TENSORS, "args": Made("argparse.Namespace")}
    file = pickles.write(tmp_path / f"{ODD}.pth", content)
    with pytest.raises(CheckpointError, match="has code in it") as refused:
        contents.look(file)
    option, program, path = pasted(refused.value.remedy)
    assert (option, path) == ("-c", str(file))
    assert f"content[{key!r}]" in program
    compile(program, "remedy", "exec")


def test_zeros_in_a_file_of_torch_are_told_without_torch(tmp_path: Path) -> None:
    values = conventions.meta(checkpoints.tensors(PLAIN))
    shapes = checkpoints.shapes(PLAIN)
    file = pickles.write(tmp_path / "model.pth", values)
    contents.look(file).complete(shapes)
    values["patch_embed.proj.weight"] = np.zeros_like(values["patch_embed.proj.weight"])
    pickles.write(file, values)
    with pytest.raises(CheckpointError, match=r"patch_embeddings\.weight is all zeros"):
        contents.look(file).complete(shapes)


def test_numbers_that_a_file_of_torch_lacks_are_named(tmp_path: Path) -> None:
    file = pickles.write(tmp_path / "model.pth", conventions.meta(checkpoints.tensors(PLAIN)))
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(tmp_path / "cut.pth", "w") as cut:
        cut.writestr("archive/data.pkl", archive.read("archive/data.pkl"))
    with pytest.raises(CheckpointError, match="lacks the numbers of"):
        contents.look(tmp_path / "cut.pth").complete(checkpoints.shapes(PLAIN))


def flipped(file: Path, tensor: bytes) -> Path:
    """A file of torch with one bit of a tensor turned round."""
    content = bytearray(file.read_bytes())
    content[content.index(tensor) + len(tensor) // 2] ^= 1
    copy = file.with_name("flipped.pth")
    copy.write_bytes(content)
    return copy


def test_a_flipped_bit_in_a_file_of_torch_is_damage(tmp_path: Path) -> None:
    file = pickles.write(tmp_path / "model.pth", TENSORS)
    pickled.require_sums(file)
    with pytest.raises(CheckpointError, match=r"is damaged: archive/data/0 is not what was"):
        pickled.require_sums(flipped(file, TENSORS["a.weight"].tobytes()))


def test_a_file_of_torch_without_sums_is_read(tmp_path: Path) -> None:
    file = pickles.write(tmp_path / "model.pth", TENSORS)
    with zipfile.ZipFile(file) as archive:
        sums = {entry.CRC.to_bytes(4, "little") for entry in archive.infolist()}
    content = file.read_bytes()
    for crc in sums:
        content = content.replace(crc, bytes(4))
    file.write_bytes(content)
    pickled.require_sums(file)
    assert pickled.tensors(file).keys() == TENSORS.keys()


@pytest.mark.parametrize(
    ("offsets", "says"),
    [
        ([[0, 12], [0, 12]], "tensor b is from byte 0 to 12, and the one before it ends at 12"),
        ([[0, 12], [8, 20]], "tensor b is from byte 8 to 20"),
        ([[0, 12], [16, 28]], "tensor b is from byte 16 to 28"),
        ([[4, 16], [16, 28]], "tensor a is from byte 4 to 16, and the one before it ends at 0"),
    ],
)
def test_tensors_of_safetensors_neither_overlap_nor_leave_holes(
    tmp_path: Path, offsets: list[list[int]], says: str
) -> None:
    entries = zip("ab", offsets, strict=True)
    header = {n: {"dtype": "F32", "shape": [3], "data_offsets": span} for n, span in entries}
    text = json.dumps(header).encode()
    file = tmp_path / "some.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(max(offsets)[1]))
    with pytest.raises(CheckpointError, match=f"is damaged: {says}"):
        contents.look(file)


def test_bytes_behind_the_last_tensor_are_no_cut_download(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path)
    with (folder / "model.safetensors").open("ab") as stream:
        stream.write(bytes(40))
    with pytest.raises(CheckpointError, match="its header promises") as refused:
        contents.look(folder)
    assert "behind the weights" in str(refused.value.cause)


def test_damaged_and_old_pickles_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "cut.pth"
    file.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CheckpointError, match=r"its zip archive is cut short or damaged\."):
        contents.look(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("cut/data.pkl", pickle.dumps({"a": 1})[:-1])
    with pytest.raises(CheckpointError, match=r"the pickle in it is cut short or damaged\."):
        contents.look(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.safetensors", b"")
    with pytest.raises(CheckpointError, match=r"is a zip archive, and not one of torch\.save"):
        contents.look(file)
    file.write_bytes(pickle.dumps({}))
    with pytest.raises(CheckpointError, match=r"torch before 1\.6"):
        contents.look(file)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"epoch 1: loss 0.3\nepoch 2: loss 0.2\n", "is text, not weights"),
        (b"\n<!DOCTYPE html>", "is a page of the web"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\x93NUMPY and other programs", "is not a complete"),
    ],
)
def test_what_lies_in_the_place_of_weights_is_said_in_words(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} {says}"):
        contents.look(file)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda name: name.replace("layer.", "encoder.blk."), "layer.0.mlp.up_proj.weight is mis"),
        (lambda name: name.replace("layer.0.", "layer.zero."), "layer.0.mlp.up_proj.weight is mis"),
        (lambda name: name.replace("patch_", "piece_"), "patch_embeddings.weight is missing"),
    ],
)
def test_layers_under_foreign_names_are_refused_in_words(
    tmp_path: Path, change: Callable[[str], str], says: str
) -> None:
    file = tmp_path / "foreign.safetensors"
    checkpoints.write_safetensors(file, {change(name): value for name, value in VALUES.items()})
    with pytest.raises(CheckpointError, match=rf"foreign\.safetensors holds a part .*{says}"):
        contents.look(file).model()


def test_a_scalar_under_the_name_of_a_projection_is_refused(tmp_path: Path) -> None:
    values = conventions.meta(VALUES) | {"blocks.0.attn.qkv.weight": np.zeros((), np.float32)}
    checkpoints.write_safetensors(tmp_path / "scalar.safetensors", values)
    with pytest.raises(CheckpointError, match=r"q_proj\.weight is missing"):
        read(tmp_path / "scalar.safetensors")


def vits16(file: Path, **changes: dict[str, object]) -> Path:
    """Weights whose header alone is changed: tensors by name, empty for none at all."""
    checkpoints.of_model(file, "vits16")
    content = file.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    for name, change in changes.items():
        header[name] = header.get(name, {}) | change
        if not change:
            del header[name]
    end = 0
    for entry in header.values():
        first, last = entry["data_offsets"]
        entry["data_offsets"] = [end, end + last - first]
        end += last - first
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(file, 8 + len(text) + end)
    return file


NORM, LORA = "layer.5.norm2.bias", "layer.3.attention.q_proj.lora_A.default.weight"
UNFIT: list[tuple[dict[str, dict[str, object]], str]] = [
    ({NORM: {}}, f"{NORM} is missing"),
    ({NORM: {"shape": [2, 192]}}, r"norm2\.bias is \[2, 192\], not \[384\]"),
    ({NORM: {"dtype": "I8"}}, f"{NORM} is stored as I8"),
    ({NORM: {"dtype": "F8_E4M3"}}, f"{NORM} is stored as F8_E4M3"),
    ({LORA: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}, "1 tensor of a LoRA .*merge_"),
]


@pytest.mark.parametrize("model", [{}, {"model": "vits16"}])
@pytest.mark.parametrize(("changes", "says"), UNFIT)
def test_what_a_header_alone_shows_is_refused_before_a_build(
    tmp_path: Path, model: dict[str, str], changes: dict[str, dict[str, object]], says: str
) -> None:
    file = vits16(tmp_path / "some.safetensors", **changes)
    with pytest.raises(CheckpointError, match=f"(?s){file}.*{says}"):
        request.make(weights=str(tmp_path), **model)


def test_an_adapter_alone_is_called_a_lora(tmp_path: Path) -> None:
    file = tmp_path / "adapter_model.safetensors"
    checkpoints.write_safetensors(file, {f"base_model.{LORA}": np.zeros(3, np.float32)})
    with pytest.raises(CheckpointError, match="1 tensor of a LoRA that is not merged"):
        contents.look(file)


def test_a_lora_of_another_network_in_the_file_is_left_out(tmp_path: Path) -> None:
    wrapped = {f"vision.{name}": value for name, value in VALUES.items()}
    values = wrapped | {"text.layer.0.lora_A.weight": np.zeros(3, np.float32)}
    checkpoints.write_safetensors(tmp_path / "two.safetensors", values)
    assert same(read(tmp_path / "two.safetensors"), VALUES)


def test_the_host_does_without_torch() -> None:
    code = "import sys, scripts.pipeline.request; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("poison", [np.nan, -np.inf])
def test_values_that_are_no_numbers_are_found_without_torch(tmp_path: Path, poison: float) -> None:
    values = checkpoints.tensors()
    contents.look(checkpoints.write(tmp_path / "sound", values)).require_sound()
    values["layer.1.mlp.up_proj.weight"][-1, -1] = poison
    opened = contents.look(checkpoints.write(tmp_path / "poisoned", values))
    with pytest.raises(CheckpointError, match=r"layer\.1\.mlp\.up_proj\.weight has NaN or inf"):
        opened.require_sound()


def test_a_flipped_bit_in_a_file_of_torch_is_found_without_torch(tmp_path: Path) -> None:
    values = checkpoints.tensors()
    file = pickles.write(tmp_path / "model.pth", values)
    contents.look(file).require_sound()
    damaged = flipped(file, values["layer.1.mlp.up_proj.weight"].tobytes())
    with pytest.raises(CheckpointError, match=r"is damaged: archive/data/\d+ is not what was"):
        contents.look(damaged).require_sound()


@pytest.mark.parametrize("name", ["MODEL.SAFETENSORS", "Weights.PTH"])
def test_names_in_capitals_are_names_of_weights(tmp_path: Path, name: str) -> None:
    values = checkpoints.tensors()
    if name.endswith("PTH"):
        pickles.write(tmp_path / name, values)
    else:
        checkpoints.write_safetensors(tmp_path / name, values)
    assert contents.look(tmp_path).files == (tmp_path / name,)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"{name} is empty"):
        contents.look(tmp_path)


def test_an_old_pickle_in_capitals_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "OLD.BIN").write_bytes(b"\x80\x04\x95" + bytes(100))
    with pytest.raises(CheckpointError, match=r"pickle of torch before 1\.6"):
        contents.look(tmp_path / "OLD.BIN")
