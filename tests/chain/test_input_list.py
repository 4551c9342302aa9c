"""Quantising by the converter is quantising by the pipeline, without its equalisation."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import artefacts, sdk
from tests.chain import building
from tests.chain.building import Network


def converted(folder: Path, *arguments: str | Path) -> tuple[bytes, bytes]:
    """Return the weights, and the source but for the command line that it begins with."""
    folder.mkdir()
    root = sdk.in_force()
    command = [root.tool("qnn-onnx-converter"), "-o", "m.cpp", *arguments]
    subprocess.run(command, cwd=folder, env=root.environment(), check=True)
    source = (folder / "m.cpp").read_bytes()
    return (folder / "m.bin").read_bytes(), source.partition(b"*/")[2]


@pytest.mark.parametrize(("precision", "bits"), [("int8", "8"), ("w8a16", "16")])
def test_both_ways_give_the_same_model(
    network: Callable[[str], Network], tmp_path: Path, precision: str, bits: str
) -> None:
    made = network("digits")
    calibration = made.root / artefacts.image_set("calibration")
    names = ("--model", made.name, "--precision", precision, "--no-equalise")
    building.stage("quantize", tmp_path, *names, "--onnx", made.eager, "--calibration", calibration)
    staged = Network(made.name, tmp_path).source(precision)
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in made.pictures()))
    by_list = converted(
        tmp_path / "list",
        *("-i", made.eager, "--input_list", tmp_path / "list.txt", "--use_per_row_quantization"),
        *("--act_bitwidth", bits, "--weights_bitwidth", "8", "--bias_bitwidth", "32"),
    )
    assert staged[1] is not None
    by_encodings = converted(
        tmp_path / "encodings", "-i", staged[0], "--quantization_overrides", staged[1]
    )
    assert by_list == by_encodings
