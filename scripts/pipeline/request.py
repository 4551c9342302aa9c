"""What a user asks for: the options of a build, checked, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts import artefacts, catalog, width_pins
from scripts.checkpoint import contents, heads
from scripts.checkpoint.files import HEAD
from scripts.checkpoint.hub_id import SCHEME, HubId
from scripts.errors import CheckpointError, UsageError
from scripts.pipeline import contradictions, declared_size, option_values, options
from scripts.pipeline.build_options import BuildOptions
from scripts.source import ROOT

BUILTIN_WEIGHTS = ROOT / "scripts" / "catalog" / "digits"
# Where fetched weights go, below the folder of artefacts: one folder a repository and revision.
HUB = "hub"


@dataclass(frozen=True)
class Request(BuildOptions):
    """One build: its options, and the names, folders and weights that they come to."""

    # The options as they were given.
    texts: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def network(self) -> str:
        """The name of this network: its model, and what departs from the usual."""
        size = "" if self.size == self.model.picture_size else str(self.size)
        input = "" if self.input == catalog.FLOATS else self.input
        return artefacts.network(self.model.name, size, input, self.outputs.folder)

    @property
    def root(self) -> Path:
        """Folder of all artefacts of this network.

        Weights that are still on the hub have a folder of their own, whatever is built of them.
        """
        if self.hub_id:
            return self.build_dir / HUB / self.hub_id.folder
        return self.build_dir / self.network

    @property
    def archive(self) -> Path:
        """The deployable archive of this build."""
        names = (self.network, self.precision.name, self.target.name)
        return self.root / artefacts.package(*names)

    @property
    def synthetic(self) -> bool:
        """Whether the weights are random numbers."""
        return option_values.RANDOM.fullmatch(self.weights) is not None

    @property
    def has_one_folder(self) -> bool:
        """Whether --heldout names the folder of --images, and so holds out some of its pictures."""
        return bool(self.texts.get("heldout")) and not self.heldout

    @property
    def own_head(self) -> Path | None:
        """The head beside the weights, whether it fits or not; the built-in network's does."""
        folder = self.weights_path
        return folder / HEAD if folder and (folder / HEAD).is_file() else None

    @property
    def head_misfit(self) -> str:
        """Why `verify` does not judge classes by the head beside the weights; nothing if it does.

        Nobody asked for that head, so one that does not fit is no error.
        """
        if not self.own_head:
            return ""
        try:
            heads.check(self.own_head, self.model.hidden_size)
        except CheckpointError as error:
            return f"ignored, as no head was asked for: {error.what}"
        return ""

    @property
    def weights_path(self) -> Path | None:
        """The weights on this machine, or None for random or hub weights."""
        if self.weights == "builtin":
            return BUILTIN_WEIGHTS
        return None if self.synthetic or self.hub_id else Path(self.weights)

    @property
    def hub_id(self) -> HubId | None:
        """The repository on the hub that the weights are to be fetched from."""
        return HubId.parse(self.weights) if self.weights.startswith(SCHEME) else None

    @property
    def is_open(self) -> bool:
        """Whether only the weights, once fetched, say which model they are of."""
        return self.hub_id is not None and self.model.weights == "builtin"

    def fetched(self) -> Request:
        """Return the request for the weights that `fetch` brought, which say model and size."""
        return make(**{**self.texts, "weights": str(self.root / "weights")})


def make(**texts: Any) -> Request:
    """Return a checked request; options that `texts` leaves out have their default.

    Raises:
        UsageError: an unknown name, or options that contradict each other.
        CheckpointError: the weights are damaged, incomplete, or of another model; a head is none.
        CalibrationError: a picture folder is not one, or has no picture.
        SdkError: the SDK folder holds no SDK.
        KeyFileError: nothing can be signed with the key.
    """
    contradictions.require_one_precision(texts)
    request = _with_model(options.checked(Request, texts), bool(texts.get("model")))
    contradictions.require_none(request)
    request = _with_folders(request)
    if texts.get("model") or not request.is_open:
        _require_outputs(request)
    request = _with_size(_with_weights(request))
    return replace(request, texts=texts)


def each(**texts: Any) -> list[Request]:
    """Return a checked request for each precision that `texts` has, separated by commas.

    They are of one network, so its folder is the same; whatever else is in them is the same too.

    Raises:
        UsageError: as `make`; an option does not go with one of the precisions, or with several.
    """
    names = [name.strip() for name in str(texts.get("precision", "")).split(",")]
    if len(names) == 1:
        return [make(**texts)]
    if not all(names):
        raise UsageError(
            f"--precision {texts['precision']}: there is no name on one side of a comma.",
            remedy="names with one comma between two: int8,fp16",
        )
    if doubles := [name for place, name in enumerate(names) if name in names[:place]]:
        raise UsageError(f"--precision names {doubles[0]} twice.", remedy="name each once")
    if texts.get("encodings"):
        raise UsageError(
            "--encodings is a file of one precision.",
            remedy="build that one by itself; what it shares with the others is built once",
        )
    return [make(**{**texts, "precision": name}) for name in names]


def _with_folders(request: Request) -> Request:
    """Take a held-out folder that is the one of the pictures as if it were not given.

    `Request.has_one_folder` tells, and it is said.
    """
    if not request.heldout:
        return request
    if not request.images:
        raise UsageError(
            "--heldout needs --images: a network that is verified on pictures needs others to be "
            "calibrated on.",
            remedy="give both, or --images alone: then some of its pictures are held out",
        )
    is_same = request.heldout.samefile(request.images)
    return replace(request, heldout=None) if is_same else request


def _require_outputs(request: Request) -> None:
    request.outputs.require_layers(request.model.layers)
    if request.widths:
        width_pins.require_layers(request.widths, request.model.layers)
    for file in request.outputs.heads.values():
        heads.check(file, request.model.hidden_size)


def _with_size(request: Request) -> Request:
    """Give a request the size that its weights' files say where it leaves that open."""
    path = request.weights_path
    says = declared_size.read(path) if path else declared_size.DeclaredSize()
    size = request.size or says.size or request.model.picture_size
    try:
        size.patches(request.model.patch_size)
    except UsageError as error:
        if request.size or not (path and says.size):
            raise
        raise CheckpointError(
            f"{path / says.file} says pictures of {says.size}. {error.what}",
            remedy=f"{error.remedy}; or mend the file",
        ) from error
    return replace(request, size=size)


def _with_model(request: Request, is_named: bool) -> Request:
    """Give a request the model that its weights are of, or refuse those of another one."""
    if request.weights in ("", "builtin") or option_values.OF_MODEL.fullmatch(request.weights):
        return request
    if hub_id := request.hub_id:
        own = (model for model in catalog.models().values() if model.weights == hub_id.repository)
        model = next(own, request.model)
        if is_named and model != request.model:
            raise UsageError(
                f"--weights {hub_id.repository} is {model.name}, not {request.model.name}.",
                remedy="choose --model and --weights that belong together; without --model, "
                "--weights says it",
            )
        return replace(request, model=model)
    if not (path := request.weights_path):
        return request
    weights = contents.look(path)
    if is_named:
        weights.require(request.model)
        return request
    return replace(request, model=weights.model())


def _with_weights(request: Request) -> Request:
    """Name the weights of a request that leaves them to its model."""
    name, repository = request.model.name, request.model.weights
    builtin = repository == "builtin"
    if match := option_values.OF_MODEL.fullmatch(
        request.weights or ("builtin" if builtin else "hf")
    ):
        hub_id = HubId.parse(f"{repository}@{match[1]}" if match[1] else repository)
        if builtin:
            others = ", ".join(key for key in catalog.models() if key != name)
            raise UsageError(
                f"{name} is not on the hub, and `hf` is the repository of --model.",
                remedy=f"name a model that is there with --model: {others}; or leave --weights out "
                f"for {name}, whose weights are built in",
            )
        if not hub_id:
            raise UsageError(
                f"--weights {request.weights}: {match[1]!r} is no revision.",
                remedy="name a branch, tag or commit: hf@main",
            )
        return replace(request, weights=str(hub_id))
    if request.weights == "builtin" and not builtin:
        raise UsageError(
            f"There are no built-in weights of {name}.",
            remedy="give --weights a directory, a file, hf, or random",
        )
    return replace(request, weights=request.weights or "builtin")
