from collections.abc import Sequence

import pytest

from scripts.checkpoint import selection
from scripts.checkpoint.hub_id import HubId, canonical
from scripts.errors import CheckpointError

TIMM = "timm/vit_small_patch16_dinov3.lvd1689m"


@pytest.mark.parametrize(
    ("text", "hub_id"),
    [
        (TIMM, HubId(TIMM)),
        (f"{TIMM}@refs/pr/3", HubId(TIMM, "refs/pr/3")),
        (f"hf://{TIMM}@main", HubId(TIMM)),
        ("./some/folder", None),
        ("/some/folder", None),
        ("~/folder", None),
        ("folder", None),
        ("some/folder/", None),
        ("some/../folder", None),
        ("a/b@", None),
        ("a/b c", None),
    ],
)
def test_a_repository_has_an_owner_and_a_name(text: str, hub_id: HubId | None) -> None:
    assert HubId.parse(text) == hub_id
    if hub_id:
        assert HubId.parse(str(hub_id)) == hub_id


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (f"https://huggingface.co/{TIMM}", f"hf://{TIMM}"),
        (f"http://hf.co/{TIMM}/", f"hf://{TIMM}"),
        (f"huggingface.co/{TIMM}/tree/v2?x=1#y", f"hf://{TIMM}@v2"),
        (f"https://huggingface.co/{TIMM}/blob/refs%2Fpr%2F3/a/b.pth", f"hf://{TIMM}@refs/pr/3"),
        (f"hf-hub:{TIMM}@v2", f"hf://{TIMM}@v2"),
        (f"hf_hub:{TIMM}", f"hf://{TIMM}"),
        (TIMM, TIMM),
        (f"https://huggingface.test/{TIMM}", f"https://huggingface.test/{TIMM}"),
        ("https://huggingface.co/datasets", "https://huggingface.co/datasets"),
    ],
)
def test_addresses_of_the_hub_name_repositories(text: str, same: str) -> None:
    assert canonical(text) == same


def test_each_revision_has_a_folder_of_its_own() -> None:
    ids = (HubId(TIMM), HubId(TIMM, "v1"), HubId(TIMM, "refs/pr/1"))
    assert [hub_id.folder for hub_id in ids] == [
        "timm--vit_small_patch16_dinov3.lvd1689m",
        "timm--vit_small_patch16_dinov3.lvd1689m@v1",
        "timm--vit_small_patch16_dinov3.lvd1689m@refs--pr--1",
    ]


SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("names", "needed"),
    [
        (["model.safetensors", "pytorch_model.bin", "README.md", ".gitattributes"], [0]),
        (["config.json", "LICENSE.md", "preprocessor_config.json", "pytorch_model.bin"], range(4)),
        ([*SHARDS, INDEX, "other.safetensors", "onnx/model.safetensors"], range(3)),
        (["dinov3_vits16.pth", "head.safetensors", "log.txt"], [0, 1]),
        (["adapter_model.safetensors", "adapter_config.json"], [0, 1]),
    ],
)
def test_the_weights_are_taken_once(names: Sequence[str], needed: Sequence[int]) -> None:
    assert selection.needed("a/b", names) == sorted(names[index] for index in needed)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a.pth", "b.pth"], "2 files of weights: a.pth, b.pth"),
        (["x/a.pth"], "has no weights"),
        (["m-00001-of-00002.pth", "m-00002-of-00002.pth"], r"list: m\.pth\.index\.json is missing"),
    ],
)
def test_no_weights_and_several_are_refused(names: Sequence[str], says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        selection.needed("a/b", names)
