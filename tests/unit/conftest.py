"""What every unit test has: no settings of the machine, and a time where no compiler is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization.encodings import Encodings
from scripts.htp import simulation

# Invented milliseconds of an activation of 8 and of 16 bits; a norm's are those of the real thing.
NARROW, WIDE, WIDE_RMS, WIDE_SOFTMAX = 0.01, 0.02, 0.05, 0.005


def invented(path: Path, encodings: Encodings, *_: object) -> float:
    """Return a time in which 16 bits cost more, most of all an RMSNormalization."""
    return sum(
        _cost(node.op_type, wide=encodings.activations[node.output[0]].bits == 16)
        for node in Network.load(path).graph.node
    )


def _cost(operator: str, *, wide: bool) -> float:
    if not wide:
        return 2 * NARROW if operator == "LayerNormalization" else NARROW
    return {"RMSNormalization": WIDE_RMS, "Softmax": WIDE_SOFTMAX}.get(operator, WIDE)


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nothing start a compile to time widths: the host has none, and here it would be slow."""
    monkeypatch.setattr(simulation, "milliseconds", invented)
    yield


# What programs that the tests start, or the code under test, would read.
PREFIXES = ("PIP_", "GIT_", "LC_", "DOCKER_", "DINOV3_QNN_", "XDG_", "SSH_")
NAMES = (
    *("LANG", "LANGUAGE", "TZ", "QAIRT_SDK_ROOT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
    *("HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_ENDPOINT"),
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def is_a_setting(name: str) -> bool:
    return name.startswith(PREFIXES) or name in NAMES or name.lower() in PROXIES


@pytest.fixture(scope="session", autouse=True)
def _no_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home with nothing in it; pip and git are told to read no file of the machine's."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if is_a_setting(name)]:
            patch.delenv(name)
        for name, value in _plain(home).items():
            patch.setenv(name, value)
        yield


def _plain(home: Path) -> dict[str, str]:
    nothing = {"PIP_CONFIG_FILE": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull}
    return {**nothing, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(home), "LC_ALL": "C.UTF-8"}
