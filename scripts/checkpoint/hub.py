"""A checkpoint from the Hugging Face hub.

The token comes from the environment, `HF_TOKEN`, and is written nowhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Plain HTTP: the Xet client keeps gigabytes of chunks in its cache, here a file system in memory.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from scripts.checkpoint import contents
from scripts.errors import CheckpointError, GatedModelError, PipelineError

FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
LICENCES = ["LICENSE*", "LICENCE*", "NOTICE*"]
FORBIDDEN = (401, 403)


def fetch(repo: str, revision: str, folder: Path) -> str:
    """Download a repository's weights into `folder`; return their commit.

    Raises:
        GatedModelError: the hub requires a licence or a token, or has no such repository.
        CheckpointError: the hub cannot be reached, or the download is no complete checkpoint.
    """
    hub = HfApi()
    with _named_errors(repo):
        commit = str(hub.model_info(repo, revision=revision).sha)
        hub.snapshot_download(
            repo, revision=commit, local_dir=folder, allow_patterns=FILES + LICENCES
        )
    # The client's own notes on times and locks: not part of the weights.
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    contents.look(folder)
    return commit


@contextmanager
def _named_errors(repo: str) -> Iterator[None]:
    try:
        yield
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise _gated(repo) from error
    except HfHubHTTPError as error:
        if error.response.status_code in FORBIDDEN:
            raise _gated(repo) from error
        raise CheckpointError(
            f"The hub answered {error.response.status_code} for {repo}.",
            cause="a wrong revision, or the hub is having trouble",
            remedy="try again, or give a downloaded directory with --weights",
        ) from error
    except (httpx2.TransportError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise CheckpointError(
            f"{repo} cannot be fetched: {error}.",
            cause="no way to the Hugging Face hub from here, or the connection broke",
            remedy="check the network and HTTPS_PROXY, or give a directory with --weights",
        ) from error


def _gated(repo: str) -> PipelineError:
    return GatedModelError(
        f"The hub does not give {repo} to you.",
        cause="its licence is not accepted yet, HF_TOKEN is not set, or the name is wrong",
        remedy=f"accept the licence on the page of {repo}, set HF_TOKEN to a read token, "
        "or give a downloaded directory with --weights",
    )
