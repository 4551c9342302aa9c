"""What a user asks for, checked before any work starts: every option of a build is a field here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts import aimet_encodings, artefacts, catalog, outputs, width_pins
from scripts.catalog import Model, Precision, Target
from scripts.checkpoint import contents, heads
from scripts.checkpoint.files import HEAD
from scripts.checkpoint.hub_id import SCHEME, HubId
from scripts.errors import CheckpointError, UsageError
from scripts.image import lanes
from scripts.outputs import Outputs
from scripts.picture_size import PictureSize
from scripts.pipeline import declared_size, option_values, options
from scripts.pipeline.options import option
from scripts.source import ROOT

BUILTIN_WEIGHTS = ROOT / "scripts" / "catalog" / "digits"
# Where fetched weights go, below the folder of artefacts: one folder a repository and revision.
HUB = "hub"


@dataclass(frozen=True)
class Request:
    """One build: which network, how exact, for which board, from which files, run how.

    The fields stand in the order in which a user meets them.
    """

    model: Model = option(
        "",
        f"network: {', '.join(catalog.models())}; without it, what --weights holds, else digits",
        option_values.model,
        metavar="NAME",
        details="Each is an entry of `scripts/catalog/models.toml`.",
    )
    weights: str = option(
        "",
        "directory, file, owner/name[@revision] on the hub, hf, or random[:SEED]; without it, "
        "the model's own",
        option_values.weights,
        metavar="PATH",
        details="Weights of transformers, timm or Meta, told by their content "
        "([weights.md](weights.md)). `hf` is the model's own repository on the Hugging Face hub, "
        "`hf@REVISION` a branch, tag or commit of it. "
        "What `random` gives is marked synthetic in every manifest. "
        "The DINOv3 weights are gated: "
        "accept the licence on the model's page and set `HF_TOKEN`, or fetch them elsewhere and "
        "give the directory. Fetching from the real hub has not been run where this was written.",
    )
    size: PictureSize = option(
        "",
        "height x width of the input, 512 or 480x640; without it, what the weights' files say",
        option_values.size,
        metavar="PIXELS",
        details="Any size that the network's patches divide, up to 64 patches a side (1024 pixels "
        "with patches of 16). `preprocessor_config.json` counts, then `config.json`, then the "
        "model's entry in the catalog, 224 for the DINOv3 family.",
    )
    images: Path | None = option(
        "",
        "folder of pictures to calibrate and verify on; without it, the model's built-in set",
        option_values.pictures,
        metavar="DIR",
        details="JPEG, PNG, WebP, BMP and TIFF, of 8 or 16 bits a channel, up to 500 megapixels, "
        "nested or not; links are followed, except those to folders above; one to a system folder, "
        "such as /etc, is refused, as containers have their own. Files that cannot be "
        "read, copies, and pictures that are transparent or of nearly one colour are left out and "
        "counted by kind; masks of labels and dark scans, of 12 bits stored in 16, are counted "
        "too. Of the others, those for verification are set aside first, at most a "
        "quarter, and calibration never sees them. Of fewer than four none can be set aside: then "
        "verification has those that calibration has seen, and says so. The built-in set of ViT "
        "models is two photographs cut into crops: enough to try the pipeline, not for real use.",
    )
    heldout: Path | None = option(
        "",
        "folder of pictures to verify on; without it, those of --images not calibrated on",
        option_values.pictures,
        metavar="DIR",
    )
    precision: Precision = option(
        "int8",
        f"{', '.join(catalog.precisions())} (mixed needs a budget); several with commas",
        option_values.precision,
        metavar="NAMES",
        details="`--precision int8,w8a16,fp16` builds them side by side: pictures, calibration and "
        "export are there once, and one that misses its gate does not stop the others "
        "([files.md](files.md#several-precisions)). `w8a16` has 8-bit weights and 16-bit "
        "activations; `w4a16` has 4-bit weights in "
        "all linear layers, `w4a8` in those of MLPs, rounded with the pictures in view. In `int8` "
        "and `w4a8` activations have 8 bits, except those that are faster with 16 bits and the "
        "cheapest few that the gate needs: `models/dinov3_<model>_<precision>.widths.json` "
        "names them. `mixed` takes a budget, `--max-ms "
        "25` or `--min-cosine 0.995`, has weights of 8 bits or those of `w4a8`, and writes all it "
        "could choose from to `models/dinov3_<model>_mixed.frontier.json`.",
    )
    max_ms: float = option(
        "",
        "mixed: the most exact network that takes so many simulated milliseconds",
        options.number("a number above 0", lambda value: value > 0),
        metavar="MS",
    )
    min_cosine: float = option(
        "",
        "mixed: the fastest network with this cosine on unseen pictures",
        options.number("a number between 0 and 1", lambda value: 0 < value < 1),
        metavar="COSINE",
    )
    widths: Path | None = option(
        "",
        "int8, mixed, w4a8: file that pins activations to 8 or 16 bits; others are searched",
        option_values.widths,
        metavar="FILE",
        details='`{"16": {"Softmax to MatMul": "all"}, "8": {"Add to Norm": ["layer.3.Add_2"]}}`: '
        "kinds of activations, all of one or some of its tensors. The `widths.json` of a build, "
        "which also says why it chose so, is such a file: it pins everything.",
    )
    encodings: Path | None = option(
        "",
        "int8, w8a16: encodings that AIMET exported, in place of calibrated ones",
        option_values.encodings,
        metavar="FILE",
        details="A file of `QuantizationSimModel.export`, version 0.6.1, 1.0.0, 2.0.0 or 2.1.0, "
        "of the network `models/dinov3_<model>_<precision>_lowered.onnx` that a build writes "
        "([accuracy.md](accuracy.md)). Weights have 8 bits, symmetric, by channel; activations the "
        "precision's width or 16 bits.",
    )
    target: Target = option(
        "iq9075",
        f"board: {', '.join(catalog.targets())}",
        option_values.target,
        metavar="NAME",
        details="Each is an entry of `scripts/catalog/targets.toml`; [targets.md](targets.md) says "
        "what each has, lacks and was tried with.",
    )
    input: str = option(
        catalog.FLOATS,
        "what the network takes: float32 (planes, normalised) or uint8 (RGB, only resized)",
        options.one_of(catalog.INPUTS),
        metavar="TYPE",
        details="With `uint8` the network takes the bytes of a resized picture, RGB in NHWC, as "
        "they are: mean and deviation are in its weights. `float32` takes normalised planes, NCHW.",
    )
    outputs: Outputs = option(
        outputs.TOKENS_ALONE,
        f"what the network gives: {outputs.GRAMMAR}",
        option_values.outputs,
        metavar="LIST",
        details="`tokens` is `last_hidden_state` [1, tokens, hidden]; `cls` [1, hidden], `patches` "
        "[1, h*w, hidden] and `features` [1, hidden, h, w] are cut out of it. `layers=7,15` gives "
        "`layer_7` and `layer_15`, features after the last norm, layers counted from 0, as DINO's "
        "`get_intermediate_layers(norm=True)` does. A head is a safetensors file with `weight` "
        "[classes, hidden] and perhaps `bias`, both with a prefix or without, and nothing else; a "
        "convolution of 1 x 1 is one, too: `head=FILE` gives logits [1, classes] of CLS, "
        "`patch-head=FILE` logits `patch_head` [1, classes, h, w] of the patches. Numbers behind a "
        "comma continue `layers`. Each is a tensor of its own, and the gate judges each.",
    )
    method: str = option(
        catalog.MIN_MAX,
        f"how activations' ranges are calibrated: {', '.join(catalog.METHODS)}",
        options.one_of(catalog.METHODS),
        metavar="NAME",
    )
    gate: bool = option(
        True,
        "fail where verify falls short of the precision's gate; --no-gate records that it did",
    )
    sign: Path | None = option(
        "",
        "private SSH key to sign with",
        option_values.key,
        metavar="KEY",
        details="Writes the signature, `.sig`, and signed provenance, `.intoto.jsonl`, beside the "
        "archive ([attestations.md](attestations.md)).",
    )
    build_dir: Path = option(
        "build",
        "folder where artefacts go",
        option_values.build_dir,
        metavar="DIR",
    )
    cache: str = option(
        "",
        "cache that machines share, http(s)://host/path; without it, $DINOV3_QNN_CACHE",
        option_values.cache,
        metavar="URL",
        details="Results of stages that others built are taken from there, and nothing is written "
        "([cache.md](cache.md)).",
        variable="DINOV3_QNN_CACHE",
    )
    cache_write: bool = option(
        False, "give the cache what is built here, and compare with what it has: for CI"
    )
    sdk: Path | None = option(
        "",
        "official QAIRT SDK to use instead of openqnn; without it, $QAIRT_SDK_ROOT",
        option_values.sdk,
        metavar="DIR",
        details="See [sdk.md](sdk.md).",
        variable="QAIRT_SDK_ROOT",
    )
    lane: str = option(
        lanes.DEFAULT,
        f"build image: {', '.join(lanes.names())}",
        option_values.lane,
        metavar="NAME",
        details="Each is a file in `docker/lanes/`.",
    )
    memory: float = option(
        "",
        "memory limit of a stage in GB; without it, nearly all there is",
        options.number("a number from 0.1 to 100000", lambda value: 0.1 <= value <= 100_000),
        metavar="GB",
    )
    jobs: int = option(
        "",
        "stages that run at once, at most; without it, as many as there are cores",
        option_values.jobs,
        metavar="NUMBER",
        details="Less run where memory is short: what a stage took before is what it is expected "
        "to take, on the first run what `invoke doctor` says of the network. With 1 they run in "
        "the order of the plan.",
    )
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
    _require_one_precision(texts)
    request = _with_model(options.checked(Request, texts), bool(texts.get("model")))
    _require_budget(request)
    if "method" in unused(request.precision) and request.method != catalog.MIN_MAX:
        raise UsageError(
            f"Precision {request.precision.name} has no ranges to calibrate: leave --method out."
        )
    _require_free_encodings(request)
    if request.cache_write and not request.cache:
        raise UsageError("--cache-write needs a cache: give --cache, or set DINOV3_QNN_CACHE.")
    request = _with_folders(request)
    if texts.get("model") or not request.is_open:
        _require_outputs(request)
    request = _with_size(_with_weights(request))
    return replace(request, texts=texts)


def unused(precision: Precision) -> frozenset[str]:
    """Return the options that a precision has no use for; `make` refuses them."""
    uses = {
        "max_ms": precision.budgeted,
        "min_cosine": precision.budgeted,
        "method": precision.weights < 16,
        "widths": precision.activations == 8,
        "encodings": precision.weights == 8 and not precision.budgeted,
    }
    return frozenset(name for name, is_used in uses.items() if not is_used)


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


def _require_one_precision(texts: Mapping[str, Any]) -> None:
    if "," in str(texts.get("precision", "")):
        raise UsageError(
            f"--precision {texts['precision']}: this command takes one.",
            remedy="`invoke build` and its stages take several, and `invoke doctor`",
        )


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


def _require_budget(request: Request) -> None:
    name, budget = request.precision.name, request.max_ms or request.min_cosine
    if request.precision.budgeted and not budget:
        raise UsageError(
            f"Precision {name} needs a budget.",
            remedy="--min-cosine 0.995 for the fastest that is so exact, or --max-ms 25 for the "
            "most exact that is so fast",
        )
    if request.max_ms and request.target.timed_by:
        raise UsageError(
            f"There is no estimate for {request.target.name}: no network can be held to --max-ms.",
            remedy="give --min-cosine, or --max-ms with another --target",
        )
    if not request.precision.budgeted and budget:
        raise UsageError(f"Precision {name} takes no budget.", remedy="choose --precision mixed")
    if request.widths and "widths" in unused(request.precision):
        raise UsageError(
            f"Precision {name} has no widths to choose.", remedy="leave --widths out, or int8"
        )


def _require_free_encodings(request: Request) -> None:
    """Refuse a file of encodings that is none, and what would choose what it says."""
    name = request.precision.name
    if not request.encodings:
        return
    if "encodings" in unused(request.precision):
        raise UsageError(
            f"Precision {name} takes no --encodings.", remedy="choose --precision int8 or w8a16"
        )
    others = {"--widths": request.widths, "--method": request.method != catalog.MIN_MAX}
    if both := [name for name, is_set in others.items() if is_set]:
        raise UsageError(f"--encodings says what {both[0]} chooses: give one of them.")
    aimet_encodings.read(request.encodings)


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
