"""A piece in parts: every node runs once, and gives what it gives in the whole piece."""

from pathlib import Path

import numpy as np
import pytest

from openqnn.network import pieces, samples
from openqnn.network.onnx_network import Network
from openqnn.network.pieces import Extractor, Piece
from openqnn.network.relay import Relay, Runner, Values
from scripts import catalog
from scripts.lowering.lower import lower
from scripts.quantization import narrow, parts
from tests.networks import vit


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    folder = tmp_path_factory.mktemp("parts")
    lower(vit.write(folder, gated=True, layers=2), folder / "lowered.onnx", "w4a16", [])
    return Network.load(folder / "lowered.onnx")


@pytest.fixture(scope="module")
def ends(network: Network) -> set[str]:
    """What its linear layers read."""
    return {node.input[0] for node in narrow.linears(network, catalog.EVERY_LINEAR)}


def _picture(folder: Path, network: Network) -> np.ndarray:
    path, shape = folder / "0.raw", (1, 3, vit.SIZE, vit.SIZE)
    np.random.default_rng(1).standard_normal(shape, np.float32).tofile(path)
    return samples.read(path, network)


def test_parts_have_each_node_once_in_its_order(network: Network, ends: set[str]) -> None:
    counts = []
    for piece in pieces.cut(network, 1):
        cut = [*parts.parted(piece, ends)]
        assert [node for part in cut for node in part.nodes] == [*piece.nodes]
        assert cut[-1].result == piece.result
        counts.append(len(cut))
    assert max(counts) > 2  # else nothing was cut


def test_values_are_those_of_the_whole_piece(
    network: Network, ends: set[str], tmp_path: Path
) -> None:
    extractor, source = Extractor(network), network.graph.input[0].name
    picture = _picture(tmp_path, network)
    values: list[Values] = [{source: picture}]
    relay = Relay([picture])
    for piece in pieces.cut(network, 1):
        for part in parts.parted(piece, ends):
            parts.run(part, network, extractor, values)
        for _ in relay.through(Runner(piece, extractor.model(piece), network.folder)):
            pass
        values = [{piece.result: values[0][piece.result]}]
        assert np.array_equal(values[0][piece.result], relay.values[0])


def test_a_part_leaves_what_is_read_later_and_nothing_else(
    network: Network, ends: set[str]
) -> None:
    for piece in pieces.cut(network, 1):
        cut = [*parts.parted(piece, ends)]
        for place, part in enumerate(cut):
            later = {name for other in cut[place + 1 :] for name in other.reads}
            assert set(part.leaves) <= later | {part.result}
            assert set(part.reads) <= _left(piece, cut[:place])


def _left(piece: Piece, before: list[parts.Part]) -> set[str]:
    return {piece.source, *(name for part in before for name in part.leaves)}
