"""A checkpoint from the Hugging Face hub: pinned to a commit, resumed, and checked by hash.

The hub says a file's SHA-256 where it is stored with Git LFS, else its name as a blob of git. The
token comes from the environment, `HF_TOKEN`, goes to the hub alone, and is written nowhere.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# Plain HTTP: the Xet client keeps gigabytes of chunks in its cache, here a file system in memory.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import httpx2
from huggingface_hub import HfApi, get_hf_file_metadata, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers

from openqnn.progress import say
from scripts import catalog, digests
from scripts.checkpoint import contents, selection
from scripts.checkpoint.hub_id import HubId
from scripts.errors import CheckpointError, GatedModelError, PipelineError

UNAUTHORISED = 401
FORBIDDEN = (UNAUTHORISED, 403)
# The client resumes within one run; this is what a run that was killed leaves to the next.
INCOMPLETE = ".incomplete"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Published:
    """A file of a commit: `sha256` is empty where the hub knows its blob of git alone."""

    name: str
    size: int
    sha256: str
    blob: str

    @classmethod
    def of(cls, sibling: RepoSibling) -> Published:
        """Return what the hub says of a file."""
        lfs = sibling.lfs.sha256 if sibling.lfs else ""
        return cls(sibling.rfilename, sibling.size or 0, lfs, sibling.blob_id or "")

    def is_at(self, path: Path) -> bool:
        """Tell whether a file is this one, by its hash."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if self.sha256:
            return digests.of_file(path) == self.sha256
        return _blob(path) == self.blob


def fetch(hub_id: HubId, folder: Path) -> str:
    """Bring the weights of a repository into `folder`; return their commit.

    What an earlier run left there is taken up: whole files by their hash, the last one at its end.

    Raises:
        GatedModelError: the hub requires a licence or a token.
        CheckpointError: the hub cannot be reached or has no such repository, a file's hash is
            another than the hub says, or the download is no complete checkpoint.
    """
    hub = HfApi()
    with _named_errors(hub, hub_id):
        info = hub.model_info(
            hub_id.repository, revision=hub_id.revision, files_metadata=True, token=get_token()
        )
        commit, listed = str(info.sha), {file.rfilename: file for file in info.siblings or []}
        needed = selection.needed(hub_id.repository, listed.keys())
        _clear(folder, needed)
        for name in needed:
            _bring(hub_id.repository, commit, Published.of(listed[name]), folder)
    contents.look(folder)
    return commit


def _clear(folder: Path, needed: list[str]) -> None:
    """Remove what an earlier run left of other files."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name.removesuffix(INCOMPLETE) not in needed:
            path.unlink()


def _bring(repository: str, commit: str, file: Published, folder: Path) -> None:
    target, part = folder / file.name, folder / f"{file.name}{INCOMPLETE}"
    if file.is_at(target):
        return
    resumed = part.is_file() and part.stat().st_size > 0
    if resumed:
        say(f"  {file.name}: going on after {part.stat().st_size} of {file.size} bytes")
    _download(repository, commit, file, part)
    if resumed and not file.is_at(part):
        say(f"  {file.name}: what was there is damaged, fetching it from the start")
        part.unlink()
        _download(repository, commit, file, part)
    if not file.is_at(part):
        part.unlink()
        raise CheckpointError(
            f"{file.name} of {repository} arrived with another hash than the hub says.",
            cause="damage on the way, or a proxy or mirror that changes files",
            remedy="try again; without the proxy or HF_ENDPOINT where one is set",
        )
    part.replace(target)


def _download(repository: str, commit: str, file: Published, part: Path) -> None:
    """Append what `part` lacks of a file."""
    url = hf_hub_url(repository, file.name, revision=commit)
    location = get_hf_file_metadata(url, token=get_token()).location
    headers = build_hf_headers(token=get_token())
    if urlsplit(location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # a store of files elsewhere, with a signed address
    with part.open("ab") as stream:
        if stream.tell() > file.size:
            stream.truncate(0)
        http_get(
            location,
            stream,
            resume_size=stream.tell(),
            headers=headers,
            expected_size=file.size,
            displayed_filename=file.name,
        )


def _blob(path: Path) -> str:
    """Return git's name of a file: SHA-1 of `blob`, its size and its bytes."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode())  # noqa: S324
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _named_errors(hub: HfApi, hub_id: HubId) -> Iterator[None]:
    repository = hub_id.repository
    try:
        yield
    except GatedRepoError as error:
        raise _gated(repository) from error
    except RepositoryNotFoundError as error:
        raise _unknown(hub, hub_id, error.response.status_code) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(
            f"{repository} has no revision {hub_id.revision!r}.",
            remedy="give a branch, tag or commit of its page, or leave @ out for the main branch",
        ) from error
    except HfHubHTTPError as error:
        if error.response.status_code in FORBIDDEN:
            raise _gated(repository) from error
        raise CheckpointError(
            f"The hub answered {error.response.status_code} for {repository}.",
            cause="the hub, or the proxy on the way to it, is having trouble",
            remedy="try again, or give a downloaded directory with --weights",
        ) from error
    except (httpx2.TransportError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise CheckpointError(
            f"{repository} cannot be fetched: {str(error).splitlines()[0]}.",
            cause="no way to the Hugging Face hub from here, or the connection broke",
            remedy="check the network and HTTPS_PROXY and try again, what has come is kept; or "
            "give a directory with --weights",
        ) from error


def _gated(repository: str) -> PipelineError:
    return GatedModelError(
        f"The hub does not give {repository} to you.",
        cause="its licence is not accepted yet, or HF_TOKEN is not set",
        remedy=f"accept the licence on the page of {repository}, set HF_TOKEN to a read token, "
        "or give a downloaded directory with --weights",
    )


def _unknown(hub: HfApi, hub_id: HubId, status: int) -> PipelineError:
    """Return the error for a repository that the hub does not show; 401 may be a private one."""
    near = difflib.get_close_matches(hub_id.repository, _known(hub, hub_id.owner))
    advice = f"did you mean {' or '.join(near)}?" if near else "look for its name on the hub"
    kind = GatedModelError if status == UNAUTHORISED else CheckpointError
    return kind(
        f"The hub shows no repository {hub_id.repository}.",
        cause="a misspelt name, or a private repository and no HF_TOKEN that may read it",
        remedy=f"{advice}; for a private one set HF_TOKEN; for a folder give its path",
    )


def _known(hub: HfApi, owner: str) -> list[str]:
    """Return the owner's DINOv3 networks, and Meta's own."""
    known = [model.weights for model in catalog.models().values()]
    with suppress(HfHubHTTPError, httpx2.TransportError, OSError):
        known += [model.id for model in hub.list_models(author=owner, search="dinov3", limit=100)]
    return known
