from pathlib import Path

import numpy as np
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import sharing
from scripts import artefacts, metrics
from scripts.outputs import TOKENS
from scripts.quantization import widths
from scripts.quantization.trial import Trial
from tests.networks import vit
from tests.unit.quantization.test_equalise import _features, _pictures
from tests.unit.quantization.test_widths import _int8


def test_a_trial_predicts_the_quantised_network(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    (picture,) = _pictures(tmp_path / "heldout", 1, seed=2)
    made, encodings = _int8(tmp_path, vit.write(tmp_path))
    (tmp_path / "scratch").mkdir()
    path = tmp_path / artefacts.quantized_onnx("digits", "int8")
    trial = Trial(Network.load(path), encodings, tmp_path / "scratch")
    pixels = np.fromfile(picture, np.float32).reshape(1, 3, vit.SIZE, vit.SIZE)
    exact = _features(path, [picture])
    activations = encodings.activations
    chosen = {name for name, one in activations.items() if one.bits == widths.WIDE}
    tried, real = trial(chosen, [pixels])[TOKENS], _features(made, [picture])
    loss = 1 - metrics.cosine(exact, real).mean()
    assert 1 - metrics.cosine(exact, tried).mean() == pytest.approx(loss, rel=0.5)
    everything = set(sharing.quantized_as(Network.load(path)))
    assert 1 - metrics.cosine(exact, trial(everything, [pixels])[TOKENS]).mean() < loss / 2
