from pathlib import Path

import pytest

from scripts import outputs
from scripts.errors import UsageError
from scripts.outputs import Outputs


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tokens", ["last_hidden_state"]),
        ("cls,tokens", ["cls", "last_hidden_state"]),
        ("layers=1,3,cls", ["layer_1", "layer_3", "cls"]),
        ("patches, features", ["patches", "features"]),
        ("head=a/b.safetensors,layers=0,2", ["head", "layer_0", "layer_2"]),
        ("layers=0,head=a,layers=2,patch-head=b", ["layer_0", "head", "layer_2", "patch_head"]),
        ("head=/a,b/c, d.safetensors ,cls", ["head", "cls"]),
        ("cls,patch-head=b,1.safetensors,layers=1,2", ["cls", "patch_head", "layer_1", "layer_2"]),
    ],
)
def test_a_list_stands_for_tensors(text: str, names: list[str]) -> None:
    parsed = Outputs.parse(text)
    assert parsed.names == names
    assert Outputs.parse(str(parsed)) == parsed, "it is handed on to the stage that exports"


def test_commas_may_be_in_the_path_of_a_head() -> None:
    parsed = Outputs.parse("head=/a,b/c, d.safetensors,patch-head=e,f,g.SAFETENSORS")
    paths = {"head": Path("/a,b/c, d.safetensors"), "patch_head": Path("e,f,g.SAFETENSORS")}
    assert parsed.heads == paths


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("head=a,tokenz", "there is no output 'tokenz'"),
        ("", "there is no output ''"),
        ("logits", "there is no output 'logits'; there are tokens, cls"),
        ("tokens,7", "there is no output '7'"),
        ("head=a,7", "there is no output '7'"),
        ("cls=1", "there is no output 'cls=1'"),
        ("head", "head names no file: head=FILE"),
        ("head=", "head names no file: head=FILE"),
        ("cls,patch-head= ", "patch-head names no file: patch-head=FILE"),
        ("layers=٣", "'٣' is no layer"),
        ("layers=1,٣", "there is no output '٣'"),
        ("layers=", "'layers=' names no layer; layers are counted from 0: layers=2,5"),
        ("layers=-1", "'-1' is no layer"),
        ("tokens,cls,tokens", "last_hidden_state stands there twice"),
        ("layers=3,3", "layer_3 stands there twice"),
        ("layers=3,03", "layer_3 stands there twice"),
        ("head=a,head=b", "head stands there twice"),
    ],
)
def test_what_stands_for_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError) as refused:
        Outputs.parse(text)
    assert says in str(refused.value)


def test_the_folder_says_what_departs_from_the_usual() -> None:
    assert not Outputs.parse("tokens").folder
    assert Outputs.parse("layers=7,15,patch-head=x/seg.safetensors").folder == (
        "layer_7-layer_15-patch-head"
    )


def test_a_layer_must_be_there() -> None:
    Outputs.parse("layers=0,3").require_layers(4)
    with pytest.raises(UsageError, match="no layer 4"):
        Outputs.parse("layers=0,4").require_layers(4)


def test_files_are_replaced_and_nothing_else() -> None:
    parsed = Outputs.parse("cls,head=a,layers=1").at({"head": Path("/heads/head.safetensors")})
    assert str(parsed) == "cls,head=/heads/head.safetensors,layers=1"
    assert [name for name in parsed.names if outputs.has_cls(name)] == ["cls", "head"]
