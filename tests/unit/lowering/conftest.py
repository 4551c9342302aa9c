import pytest

from scripts.lowering import linears, rotary
from tests.networks import vit


@pytest.fixture(autouse=True)
def _small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the small network be large for the matrix unit, its few tokens many for the others."""
    monkeypatch.setattr(rotary, "LONGEST_ROW", 2)
    monkeypatch.setattr(linears, "LARGE_WEIGHTS", 300)
    monkeypatch.setattr(linears, "NARROW_WEIGHTS", 200)
    monkeypatch.setattr(linears, "FEW_INPUTS", vit.HEAD)
    monkeypatch.setattr(linears, "MANY_INPUTS", vit.WIDTH - 4)
    monkeypatch.setattr(linears, "MOST_INPUTS", vit.WIDTH + 1)
    monkeypatch.setattr(linears, "FAST_TOKENS", 20)
