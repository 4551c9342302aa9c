"""Networks and libraries, each built once for all tests of the chain."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.chain import building
from tests.chain.building import Network


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    return cache(lambda name: building.network(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def libraries(
    network: Callable[[str], Network], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Path]]:
    """The libraries of digits in a precision, by target."""
    return cache(
        lambda precision: building.libraries(
            network("digits"), precision, tmp_path_factory.mktemp(precision)
        )
    )
