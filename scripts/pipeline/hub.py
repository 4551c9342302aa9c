"""What the stage that fetches weights needs of this machine to reach the Hugging Face hub.

Token, proxies and certificates are read when that stage runs, and reach it as files in memory: no
other stage, no container's configuration and no file on a disk has them.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from scripts.errors import UsageError
from scripts.loopback import is_loopback
from scripts.pipeline.container import PRIVATE

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_SETTINGS = ("HF_ENDPOINT", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_ENDPOINT = "HF_ENDPOINT"
_SCHEMES = ("http", "https")


def token() -> str:
    """Return the hub's token as huggingface_hub finds it, nothing where there is none.

    That is `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, then the file at `HF_TOKEN_PATH`, by default
    `token` in `HF_HOME`, by default `huggingface` in `XDG_CACHE_HOME` or `~/.cache`.
    """
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or ""
    return _clean(token) or _stored()


def require_ways() -> None:
    """Refuse proxies and an endpoint that the hub's client cannot use.

    Raises:
        UsageError: there is one. Its value is not shown, as it may hold a password.
    """
    for name, address in _ways().items():
        if not _is_web_address(address):
            raise UsageError(
                f"{name} names no proxy of HTTP: it takes http://[USER:PASSWORD@]HOST[:PORT].",
                remedy=f"mend it, or unset {name}; proxies of SOCKS and FTP cannot be used",
            )
    endpoint = os.environ.get(_ENDPOINT)
    if endpoint and not ("://" in endpoint and _is_web_address(endpoint)):
        raise UsageError(
            f"{_ENDPOINT} is no address of a hub: it takes http(s)://HOST[:PORT].",
            remedy=f"mend it, or unset {_ENDPOINT} for huggingface.co",
        )


def network() -> str:
    """Return the network that leads to the hub: the host's own where the proxy is on this host.

    Raises:
        UsageError: as `require_ways`.
    """
    require_ways()
    hosts = [_host(address) for address in (os.environ.get(_ENDPOINT, ""), *_ways().values())]
    return "host" if any(map(is_loopback, hosts)) else "bridge"


def private() -> dict[str, bytes]:
    """Return the files that the stage finds in `container.PRIVATE`, `environment` among them."""
    files: dict[str, bytes] = {}
    variables = _proxies()
    variables |= {name: os.environ[name] for name in _SETTINGS if os.environ.get(name)}
    if secret := token():
        files["token"] = secret.encode()
        variables["HF_TOKEN_PATH"] = f"{PRIVATE}/token"
    if bundle := _certificates():
        files["certificates.pem"] = bundle
        variables |= dict.fromkeys(CERTIFICATES, f"{PRIVATE}/certificates.pem")
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    return {**files, "environment": "".join(lines).encode()}


def _stored() -> str:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    path = os.environ.get("HF_TOKEN_PATH") or f"{home}/token"
    try:
        return _clean(Path(os.path.expandvars(path)).expanduser().read_text())
    except (OSError, RuntimeError):  # RuntimeError: `~` of a user without a home
        return ""


def _host(address: str) -> str:
    return _split(address).hostname or ""


def _split(address: str) -> SplitResult:
    return urlsplit(address if "://" in address else f"http://{address}")


def _is_web_address(address: str) -> bool:
    """Tell whether an address is one of HTTP, with a host and a port that there can be."""
    try:
        parts = _split(address)
        fits = parts.port is None or parts.port > 0
    except ValueError:  # brackets that do not match, or a port that is no number
        return False
    is_one_word = address.isprintable() and " " not in address
    return is_one_word and fits and parts.scheme in _SCHEMES and bool(parts.hostname)


def _clean(text: str) -> str:
    return text.replace("\r", "").replace("\n", "").strip()


def _proxies() -> dict[str, str]:
    names = (name for upper in _PROXIES for name in (upper, upper.lower()))
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _ways() -> dict[str, str]:
    """Return the proxies that count: a name in small letters goes before the same in capitals."""
    proxies = {name: way for name, way in _proxies().items() if name.upper() != "NO_PROXY"}
    return {
        name: way for name, way in proxies.items() if name.islower() or name.lower() not in proxies
    }


def _certificates() -> bytes:
    """Return the certificates that a variable names, nothing where none does.

    Raises:
        UsageError: the variable names no file that can be read.
    """
    name = next((name for name in CERTIFICATES if os.environ.get(name)), "")
    if not name:
        return b""
    try:
        return Path(os.environ[name]).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{name}={os.environ[name]} cannot be read: {error.strerror}.",
            remedy=f"name a file of certificates (PEM), or unset {name}",
        ) from error
