"""What reaches the stage that fetches weights, and where it is looked for."""

from pathlib import Path

import pytest

from scripts.errors import UsageError
from scripts.pipeline import hub

VARIABLES = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"),
    *("HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_token_is_looked_for_in_the_order_of_huggingface_hub(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last place first: each that is added comes before those that are there."""
    assert hub.token() == ""
    places = [
        (None, home / ".cache/huggingface"),
        ("XDG_CACHE_HOME", home / "xdg/huggingface"),
        ("HF_HOME", home / "hf"),
    ]
    for variable, folder in places:
        folder.mkdir(parents=True)
        (folder / "token").write_text(f"of {folder.name}, {variable}\n")
        if variable:
            root = folder.parent if variable == "XDG_CACHE_HOME" else folder
            monkeypatch.setenv(variable, str(root))
        assert hub.token() == f"of {folder.name}, {variable}"
    (home / "mine").write_text(" of a path\r\n")
    monkeypatch.setenv("HF_TOKEN_PATH", "~/mine")
    assert hub.token() == "of a path"
    for variable in ("HUGGING_FACE_HUB_TOKEN", "HF_TOKEN"):
        monkeypatch.setenv(variable, f"of {variable}\n")
        assert hub.token() == f"of {variable}"
    monkeypatch.setenv("HF_TOKEN", "")
    assert hub.token() == "of HUGGING_FACE_HUB_TOKEN"


def test_proxies_and_certificates_come_along(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "company.pem").write_bytes(b"a certificate")
    monkeypatch.setenv("https_proxy", "http://me:it's@proxy.test:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(home / "company.pem"))
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    files = hub.private()
    lines = files.pop("environment").decode().splitlines()
    assert files == {"token": b"hf_x", "certificates.pem": b"a certificate"}
    assert """export https_proxy='http://me:it'"'"'s@proxy.test:3128'""" in lines
    assert "export HF_TOKEN_PATH=/run/private/token" in lines
    assert "export SSL_CERT_FILE=/run/private/certificates.pem" in lines
    assert not [line for line in lines if "hf_x" in line]


def test_a_machine_without_any_of_it_passes_nothing() -> None:
    assert hub.private() == {"environment": b""}


def test_certificates_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE=/nowhere\.pem cannot be read"):
        hub.private()


@pytest.mark.parametrize(
    ("variable", "value", "network"),
    [
        ("HTTPS_PROXY", "http://proxy.test:3128", "bridge"),
        ("HTTPS_PROXY", "http://127.0.0.1:3128", "host"),
        ("https_proxy", "localhost:3128", "host"),
        ("HTTPS_PROXY", "http://127.0.0.1.proxy.test:3128", "bridge"),
        ("HTTPS_PROXY", "http://localhost.proxy.test:3128", "bridge"),
        ("HF_ENDPOINT", "http://[::1]:8000", "host"),
        ("NO_PROXY", "localhost,127.0.0.1", "bridge"),
    ],
)
def test_a_proxy_on_this_machine_needs_its_network(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, network: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert hub.network() == network


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "socks5://me:secret@proxy.test:1080"),
        ("all_proxy", "socks5h://secret.test"),
        ("HTTP_PROXY", "ftp://secret.test:21"),
        ("http_proxy", "http://me:secret@[::1"),
        ("HTTPS_PROXY", "http://secret.test:port"),
        ("HTTPS_PROXY", "http://secret.test:99999"),
        ("HTTPS_PROXY", "http://secret.test:0"),
        ("ALL_PROXY", "http://:3128"),
        ("ALL_PROXY", "http://secret.test:3128 "),
        ("HF_ENDPOINT", "secret.test"),
        ("HF_ENDPOINT", "secret.test:8000"),
        ("HF_ENDPOINT", "file:///secret"),
        ("HF_ENDPOINT", "https://"),
    ],
)
def test_a_way_that_cannot_be_gone_is_refused_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=f"^{variable} .*: it takes http") as refused:
        hub.network()
    assert "secret" not in str(refused.value)
    assert f"unset {variable}" in refused.value.remedy


@pytest.mark.parametrize(
    "proxy", ["proxy.test", "proxy.test:3128", "HTTPS://me:it's@proxy.test", "http://[fe80::1]:80/"]
)
def test_ways_that_can_be_gone_are_taken(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://not.used.test")
    monkeypatch.setenv("NO_PROXY", "*.test,::1")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.test/hub")
    assert hub.network() == "bridge"
