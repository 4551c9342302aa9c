"""Nothing is left behind in the image: no cache, no log, no secret, nothing of the build."""

import json
import re

import pytest

from scripts.image import content

pytestmark = pytest.mark.image

UNWANTED = {
    "a wheel or another archive of a package": r"\.(whl|deb|tar\.gz|zip)$",
    "apt's lists and sources": r"^var/lib/apt/lists/(?!lock$|partial$)"
    r"|^etc/apt/sources\.list(\.d/.|$)",
    "a cache": r"(^|/)\.cache(/|$)|^var/cache/(apt/.|ldconfig|debconf/.*-old)",
    "a log": r"^var/log/.",
    "a backup of dpkg or passwd": r"^var/lib/dpkg/.*-old$|^etc/(passwd|group|shadow|gshadow)-$",
    "what identifies a machine": r"^etc/(machine-id|ssh/)",
    "a secret": r"(^|/)(\.netrc|\.pypirc|\.git-credentials|id_(rsa|ecdsa|ed25519)|pip\.conf"
    r"|\.docker/.*|\.ssh/.*|\.aws/.*|\.huggingface/.*|\.config/.*)$",
    "model weights": r"\.(safetensors|onnx_data|gguf)$",
    "something of the build": r"^build(/|$)",
    "something temporary": r"^(tmp|var/tmp|run/lock)/.",
    "a library that nobody here uses": r"lib(Genie|QnnGpu|QnnHtpPrepare)\.so$",
    "the source of this project": r"^src/.",
}


SELDOM_USED = r"/site-packages/(networkx|pip|setuptools)/|/py312_"


@pytest.mark.parametrize("what", UNWANTED)
def test_image_is_free_of(listing: content.Listing, what: str) -> None:
    assert not [path for path in listing if re.search(UNWANTED[what], path)]


def test_home_of_root_has_only_what_debian_puts_there(listing: content.Listing) -> None:
    of_root = {path for path in listing if path.startswith("root/")}
    assert of_root == {"root/.bashrc", "root/.profile"}


def test_all_below_opt_belongs_to_root_and_only_root_may_write(listing: content.Listing) -> None:
    for path, description in listing.items():
        if not path.startswith("opt/"):
            continue
        kind, mode, owner, *_ = json.loads(description)
        if kind == "link":
            continue
        assert owner == "0:0", path
        assert int(mode, 8) & 0o022 == 0, path


def test_every_python_module_is_compiled(listing: content.Listing) -> None:
    sources = [
        path
        for path in listing
        if re.match(r"opt/(venv|openqnn)/lib/.*\.py$", path) and not re.search(SELDOM_USED, path)
    ]
    assert len(sources) > 1000
    missing = [path for path in sources if compiled(path) not in listing]
    assert not missing


def compiled(source: str) -> str:
    folder, _, name = source.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc"
