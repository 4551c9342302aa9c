"""Unit tests see no settings of the machine: no home, no git, pip, engine, proxy or language."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
