"""From the text of an option to its value, or a refusal: one function an option of `Request`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from scripts import catalog, width_pins
from scripts.catalog import Model, Precision, Target
from scripts.checkpoint.files import is_named_as_weights
from scripts.checkpoint.hub_id import SCHEME, HubId, canonical
from scripts.errors import CalibrationError, CheckpointError, SdkError, UsageError
from scripts.image import lanes
from scripts.outputs import Outputs
from scripts.package import signature
from scripts.picture_folder import PictureFolder
from scripts.picture_size import PictureSize
from scripts.pipeline import options, picture_mounts
from scripts.source import FOLDERS, ROOT

DEFAULT_MODEL = "digits"
RANDOM = re.compile(r"random(:\d{1,9})?", re.ASCII)
# The model's own repository on the hub, perhaps at a revision.
OF_MODEL = re.compile(r"hf(?:@(.+))?")
_KERNEL = ("/proc", "/sys")


def model(text: str) -> Model:
    """Return the model of a name, digits where none is given."""
    return catalog.pick(catalog.models(), text or DEFAULT_MODEL, "model")


def weights(text: str) -> str:
    """Return where weights are: a path, `hf://...`, or one of the words that stand for some.

    Raises:
        CheckpointError: nothing is there.
        ValueError: a seed that is none.
    """
    if text in ("", "builtin") or RANDOM.fullmatch(text) or OF_MODEL.fullmatch(text):
        return text
    if text.startswith("random:"):
        raise ValueError("the seed is a number of up to 9 digits: random:7")
    if "://" not in text and (path := options.path(text)).exists():
        return str(path)
    text = canonical(text)
    if (hub_id := HubId.parse(text)) and not is_named_as_weights(text):
        _require_no_folder(text, hub_id)
        return str(hub_id)
    if "://" in text:
        raise CheckpointError(
            f"--weights {text} is an address, and not of a repository of the hub.",
            remedy="download it and give the file; a repository is owner/name or "
            "owner/name@revision, perhaps with hf:// before it",
        )
    raise CheckpointError(
        f"There are no weights at {path}.",
        cause="a slip in the path, or it is relative to another folder",
        remedy="--weights takes a directory, a file, hf, a repository of the hub (owner/name or "
        "owner/name@revision), or random[:SEED]",
    )


def _require_no_folder(text: str, hub_id: HubId) -> None:
    """Refuse what may be meant as a path: its first part is here."""
    if not text.startswith(SCHEME) and options.path(hub_id.owner).exists():
        raise CheckpointError(
            f"There are no weights at {options.path(text)}, though {hub_id.owner} is there.",
            remedy=f"mend the path, or give {SCHEME}{text} for the repository on the hub",
        )


def size(text: str) -> PictureSize | None:
    """Return a size, None where the weights are to say it."""
    return PictureSize.parse(text) if text else None


def pictures(text: str) -> Path | None:
    """Return a folder that has pictures, None where none is given.

    Raises:
        CalibrationError: it is no folder, has no file that begins as a picture, or has a link that
            no container can follow.
    """
    if not text:
        return None
    folder = options.path(text)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise CalibrationError(
            f"{folder} {what}: a folder of pictures is needed.",
            cause="a slip in the path, or it is relative to another folder",
            remedy="give the folder that the pictures are in, nested or not",
        )
    from scripts.pictures import collector  # slow to import: not for every command

    collector.require_readable(PictureFolder.read(folder))
    picture_mounts.of(folder)
    return folder


def outputs(text: str) -> Outputs:
    """Return the outputs, their heads by whole paths."""
    parsed = Outputs.parse(text)
    return parsed.at({name: options.path(file) for name, file in parsed.heads.items()})


def precision(text: str) -> Precision:
    """Return the precision of a name."""
    return catalog.pick(catalog.precisions(), text, "precision")


def jobs(text: str) -> int:
    """Return a number of stages, 0 where none is given."""
    if text == "":
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise ValueError("must be a whole number from 1 to 1000")
    return int(text)


def widths(text: str) -> Path | None:
    """Return a file of widths that can be read, None where none is given."""
    if not text:
        return None
    file = options.path(text)
    width_pins.read(file)
    return file


def encodings(text: str) -> Path | None:
    """Return the path of a file of AIMET's encodings, None where none is given."""
    return options.path(text) if text else None


def cache(text: str) -> str:
    """Return the address of a shared cache without a slash at its end, empty where none is given.

    Raises:
        ValueError: it is none.
        UsageError: it holds a password.
    """
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable():
        raise ValueError("must be an address: https://host/path")
    if "@" in parts.netloc:
        raise UsageError(
            "--cache holds a password, which others on this machine can see.",
            remedy="keep it in ~/.netrc, or a token in DINOV3_QNN_CACHE_TOKEN",
        )
    if parts.port == 0:  # one that is no number, or beyond 65535, is refused in reading it
        raise ValueError("must have a port from 1 to 65535")
    if parts.query or parts.fragment:
        raise ValueError("must end with its path: https://host/path")
    return text.rstrip("/")


def build_dir(text: str | Path) -> Path:
    """Return the folder of artefacts, which need not be there yet."""
    folder = options.path(text)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(
            f"--build-dir {folder}: {nearest} is a file, no folder.",
            remedy="give a folder; it is made where it is not there",
        )
    if folder == Path(folder.anchor):
        raise UsageError(f"--build-dir {folder} is the whole disk.", remedy="give a folder on it")
    if any(folder.is_relative_to(place) for place in _KERNEL):
        raise UsageError(
            f"--build-dir {folder} is the kernel's, which keeps no files.",
            remedy="give a folder on a disk",
        )
    if sources := [name for name in FOLDERS if folder.is_relative_to(ROOT / name)]:
        raise UsageError(
            f"--build-dir {folder} is in the sources of this program.",
            cause=f"what lies in {sources[0]}/ counts as source: it changes every package",
            remedy="give a folder elsewhere, e.g. build/mine",
        )
    return folder


def target(text: str) -> Target:
    """Return the target of a name."""
    return catalog.pick(catalog.targets(), text, "target")


def sdk(text: str) -> Path | None:
    """Return the root of an SDK, None where none is given.

    Raises:
        SdkError: it is none.
    """
    if not text:
        return None
    folder = options.path(text)
    if not (folder / "sdk.yaml").is_file():
        raise SdkError(
            f"{text} is not a QAIRT SDK: it has no sdk.yaml.",
            cause="the folder above or below the SDK's root was given",
            remedy="give the folder that holds bin/, lib/ and sdk.yaml: qairt/<version>",
        )
    return folder


def lane(text: str) -> str:
    """Return the name of a lane that there is."""
    return lanes.load(text).name


def key(text: str) -> Path | None:
    """Return a key that can sign, None where none is given."""
    return signature.key(options.path(text)) if text else None
