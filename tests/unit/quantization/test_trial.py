from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from openqnn.network import samples
from openqnn.network.onnx_network import Network
from openqnn.quantization import qdq, sharing
from scripts import artefacts, catalog, metrics
from scripts.outputs import TOKENS
from scripts.quantization import trial as trials
from scripts.quantization import widths
from scripts.quantization.calibration import Source
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


def test_kinds_that_hardly_matter_are_asked_of_some_pieces_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _pictures(tmp_path / "calibration", 4, seed=1)
    source = Source(vit.write(tmp_path, layers=24), files, (), "min-max", equal=True)
    encodings = source.encoded(catalog.precisions()["int8"], tmp_path / "quantised.onnx")
    network = Network.load(tmp_path / "quantised.onnx")
    (tmp_path / "scratch").mkdir()
    trial = Trial(network, encodings, tmp_path / "scratch")
    through = Mock(side_effect=trial._through)
    monkeypatch.setattr(trial, "_through", through)
    kinds = {name: kind for kind, names in widths.kinds(network).items() for name in names}
    pictures = [samples.read(files[0], network)]
    monkeypatch.setattr(trials, "NEGLIGIBLE", 0.02)
    counts, found = list[int](), list[dict[tuple[str, ...], float]]()
    for sampled in (1000, 3):
        monkeypatch.setattr(trials, "SAMPLED", sampled)
        through.reset_mock()
        found.append(trial.losses(kinds, pictures))
        counts.append(through.call_count)
    every, some = found
    assert counts[1] < 0.8 * counts[0]
    assert every.keys() == some.keys()
    few = sorted(every, key=lambda group: -every[group])[:10]
    assert [some[group] for group in few] == [every[group] for group in few]
    assert sum(some.values()) == pytest.approx(sum(every.values()), rel=0.2)


@pytest.mark.parametrize("bits", [widths.NARROW, widths.WIDE])
def test_constants_have_their_operators_width(tmp_path: Path, bits: int) -> None:
    files = _pictures(tmp_path / "calibration", 4, seed=1)
    source = Source(vit.write(tmp_path), files, (), "min-max", equal=True)
    encodings = source.encoded(catalog.precisions()["int8"], tmp_path / "quantised.onnx")
    network = Network.load(tmp_path / "quantised.onnx")
    (tmp_path / "scratch").mkdir()
    trial = Trial(network, encodings, tmp_path / "scratch")
    wide = set(trial.tensors) if bits == widths.WIDE else set[str]()
    pictures = [samples.read(file, network) for file in files]
    tried = trial(wide, pictures)[TOKENS]
    qdq.write(network, widths.raised(network, encodings, wide), tmp_path / "packed.onnx")
    packed, exact = (
        _features(tmp_path / name, files) for name in ("packed.onnx", "quantised.onnx")
    )
    noise = [((values - exact) ** 2).sum() for values in (packed, tried)]
    # Rounded alike, both have much the same noise, and little of their own.
    assert ((tried - packed) ** 2).sum() < 0.4 * min(noise)
