"""Which pictures 8 bits hurt most, told by the float network alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from openqnn.network.onnx_network import Network
from scripts import artefacts, catalog, metrics
from scripts.outputs import PATCHES, TOKENS
from scripts.quantization import calibration, frailty
from scripts.quantization.calibration import Source, Unseen
from scripts.quantization.frailty import Observed
from scripts.quantization.trial import Trial
from tests.networks import observing, vit
from tests.unit.quantization.test_equalise import _pictures
from tests.unit.quantization.test_widths import _quantised

INT8 = catalog.precisions()["int8"]
# Words of the code's own, which say nothing to who reads the output.
INTERNAL = ("frail", "unseen", "twin", "bisection", "softmax at", "frontier", "jury")


@pytest.mark.parametrize("rms", [False, True])
def test_pictures_that_8_bits_hurt_most_are_told_without_a_trial(tmp_path: Path, rms: bool) -> None:
    files = _pictures(tmp_path / "calibration", 40, seed=1)
    source = Source(
        vit.write(tmp_path, rms=rms, layers=4, seed=3), files, (), "min-max", equal=True
    )
    encodings = source.encoded(INT8, tmp_path / "quantised.onnx")
    network = Network.load(tmp_path / "quantised.onnx")
    every = observing.unseen(network, files)
    (tmp_path / "scratch").mkdir()
    values = Trial(network, encodings, tmp_path / "scratch")((), every.pictures)
    losses = 1 - metrics.cosine(every.reference[TOKENS], values[TOKENS])[:, 0]
    frail = [losses[files.index(picture)] for picture in source.frail]
    assert len(frail) == 6
    assert np.mean(frail) > 2 * np.mean(np.setdiff1d(losses, frail))


def test_unseen_pictures_are_not_tried_twice() -> None:
    files = [Path(f"{index}.raw") for index in range(4)]
    observed = Observed(files, {}, [3.0, 1.0, 2.0, 2.0])
    assert observed.frail() == [files[1], files[2]]
    assert observed.frail([files[1]]) == [files[2], files[3]]
    assert Observed(files, {}, []).frail() == []


def test_of_pictures_with_one_power_those_that_judge_have_outputs(tmp_path: Path) -> None:
    files = _pictures(tmp_path / "calibration", 20, seed=1)
    for file in files[1:]:
        file.write_bytes(files[0].read_bytes())
    observed = frailty.observed(Network.load(vit.write(tmp_path)), {}, files[:-2], files[-2:])
    assert observed.frail() == files[:3]
    assert observed.joined(observed.frail())[TOKENS].shape[0] == 3


@pytest.mark.parametrize("precision", ["int8", "w4a8", "mixed"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_few_pictures_are_enough(
    tmp_path: Path, count: int, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _pictures(tmp_path / "calibration", count, seed=1)
    _quantised(tmp_path, vit.write(tmp_path), precision, max_ms=1000.0, min_cosine=None)
    why = json.loads((tmp_path / artefacts.widths("digits", precision)).read_text())["why"]
    assert why["reached"] > 0.9
    typical = {"calibration's own pictures": min(count, 2)}
    if count == 8:
        typical = {"pictures that calibration has not seen": 2}
    assert typical.items() <= why["judged_by"].items()
    output = capsys.readouterr().out
    assert not [word for word in INTERNAL if word in output]
    assert precision == "mixed" or f"on {next(iter(typical))}, wanted" in output
    assert ("frail" in why) == (count > 2 and precision != "mixed")


def test_a_frail_picture_counts_by_what_the_gate_allows_it() -> None:
    reference = np.eye(4, dtype=np.float32)[None]
    pictures = Unseen([], {TOKENS: reference})
    typical, frail = calibration.juries(pictures, pictures, INT8)
    worse = reference.copy()
    worse[0, 0, 1] = 0.2
    loss = 1 - 1 / np.sqrt(1.04)
    assert typical.verdict({TOKENS: worse}).loss == pytest.approx(loss)
    assert frail.verdict({TOKENS: worse}).loss == pytest.approx(loss / 2)
    assert frail.cosine(loss / 2) == pytest.approx(1 - loss)
    patches = Unseen([], {PATCHES: reference})
    assert len(calibration.juries(patches, patches, INT8)) == 1
