import numpy as np
import pytest

from scripts import metrics


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((24, 9, 16)).astype(np.float32)


def test_equal_features_are_perfect(features: np.ndarray) -> None:
    figures = metrics.figures(features, features.copy(), patches=4)
    assert figures["cls_min"] == figures["patch_min"] == pytest.approx(1.0)
    assert figures["max_abs"] == 0
    assert figures["snr_db"] == pytest.approx(300)
    assert metrics.neighbour_agreement(features, features) == 1.0


def test_one_bad_picture_shows_in_minimum_and_first_percentile(features: np.ndarray) -> None:
    other = features.copy()
    other[7, 0] = -other[7, 0]
    figures = metrics.figures(features, other, patches=4)
    assert figures["cls_min"] == pytest.approx(-1.0)
    assert figures["cls_p1"] < 0
    assert figures["cls_mean"] == pytest.approx(1 - 2 / 24)
    assert figures["patch_min"] == pytest.approx(1.0)


def test_registers_count_for_neither_cls_nor_patches(features: np.ndarray) -> None:
    other = features.copy()
    other[:, 1:5] = 0
    figures = metrics.figures(features, other, patches=4)
    assert figures["cls_min"] == figures["patch_min"] == pytest.approx(1.0)


def test_snr_is_in_decibels(features: np.ndarray) -> None:
    figures = metrics.figures(features, features * np.float32(1.1), patches=4)
    assert figures["snr_db"] == pytest.approx(20, abs=0.01)


def test_a_zero_vector_is_like_nothing(features: np.ndarray) -> None:
    assert metrics.figures(features, features * 0, patches=4)["cls_mean"] == 0


def test_strangers_share_few_neighbours(features: np.ndarray) -> None:
    other = np.random.default_rng(1).standard_normal(features.shape).astype(np.float32)
    assert metrics.neighbour_agreement(features, other) < 0.5


def test_accuracy_of_a_linear_head() -> None:
    features = np.zeros((4, 1, 2), np.float32)
    features[:, 0] = [[1, 0], [0, 1], [1, 0], [0, 1]]
    head = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)
    assert metrics.accuracy(features, head, [0, 1, 0, 0]) == 0.75


def test_knn_accuracy_is_scikit_learns() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(0)
    labels = [f"class {number % 4}" for number in range(60)]
    centres = rng.standard_normal((4, 16))
    noise = 1.2 * rng.standard_normal((60, 16))
    vectors = (centres[np.arange(60) % 4] + noise).astype(np.float32)
    hits = 0
    for index, label in enumerate(labels):
        rest = [place for place in range(60) if place != index]
        neighbours = KNeighborsClassifier(metrics.VOTERS, metric="cosine", algorithm="brute")
        neighbours.fit(vectors[rest], [labels[place] for place in rest])
        hits += neighbours.predict(vectors[index : index + 1])[0] == label
    assert 0.4 < hits / 60 < 1
    assert metrics.knn_accuracy(vectors, labels) == hits / 60


def test_figures_are_written_without_the_digits_that_processors_disagree_in() -> None:
    with_avx, without = ({"widest": {"magnitude": m}, "n": 3} for m in (71.798882, 71.798889))
    assert metrics.rounded(with_avx) == metrics.rounded(without)
    assert metrics.rounded(0.99949249) == 0.999492
    assert metrics.rounded(0.00001234567) == 0.000012
    # The cosine of a network in float16 whose noise is 62 dB below its signal.
    assert metrics.rounded(1 - 10**-6.2 / 2) == 0.999999
    assert metrics.rounded(1 - 1e-12) == metrics.rounded(1.0) == 1
    assert metrics.rounded(1.0000004) == 1
    assert np.isnan(metrics.rounded(np.nan))
