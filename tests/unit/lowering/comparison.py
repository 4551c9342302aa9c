from pathlib import Path

import numpy as np
import onnxruntime

from tests.networks import vit

SHAPE = (1, 3, vit.SIZE, vit.SIZE)
NOISE = np.random.default_rng(7).standard_normal(SHAPE, np.float32)


def run(path: Path, pixels: np.ndarray = NOISE) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["last_hidden_state"], {"pixel_values": pixels})[0]


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.shape == expected.shape
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    norms = np.linalg.norm(actual, axis=-1) * np.linalg.norm(expected, axis=-1)
    assert ((actual * expected).sum(-1) / norms).min() > 0.9999999
    np.testing.assert_allclose(actual, expected, atol=2e-5)
