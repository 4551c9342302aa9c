"""The stages of a build, in order, each with all that can change its result.

This is the pipeline as a reader sees it: what runs, on what, and what it leaves behind. Paths
starting with `/build` are artefacts of the model, seen read-only by every stage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from scripts import artefacts, catalog, source
from scripts.checkpoint import contents
from scripts.errors import UsageError
from scripts.pipeline import fitness, picture_mounts
from scripts.pipeline.mount import Mount
from scripts.pipeline.request import Request
from scripts.report import files
from scripts.report.files import Names

BUILD = PurePosixPath("/build")
# Where a stage sees the files of the weights.
WEIGHTS = "/weights"
# Where a stage sees the user's file of widths.
WIDTHS = "/widths.json"
# Where it sees AIMET's encodings.
ENCODINGS = "/aimet.encodings"
# Where `package` sees the licence of this project.
OWN_NOTICES = "/notices"
# The first picture of a set, as a network takes it.
FIRST = {catalog.FLOATS: "000000.raw", catalog.BYTES: "000000.rgb"}
HOST_TOOLCHAIN, BOARD_TOOLCHAIN = "x86_64-linux-clang", "aarch64-ubuntu-gcc9.4"


@dataclass(frozen=True)
class Stage:
    """One program run: `inputs` are relative to `build/<model>`; `mounts` come from outside it.

    `outputs` are the files, or folders of them, that it makes for others to read; `describes` says
    that its result tells what the build was made by and from, `on_request` that a build does
    without it, `resumes` that it goes on where a run before it was ended, `judges` that what it
    measured is kept where it refuses, `room` where its program is.
    """

    name: str
    verb: str
    arguments: tuple[str, ...]
    inputs: tuple[PurePosixPath, ...] = ()
    mounts: tuple[Mount, ...] = ()
    outputs: tuple[PurePosixPath, ...] = ()
    network: bool = False
    describes: bool = False
    on_request: bool = False
    resumes: bool = False
    judges: bool = False
    room: str = "stages"

    @property
    def module(self) -> str:
        """The program, as `python -m` takes it."""
        return f"scripts.{self.room}.{self.verb}"


def stages(request: Request) -> list[Stage]:
    """Return every stage of a build, each after those whose outputs it reads.

    Weights that are still on the hub are fetched first: they say of which network the rest is.
    """
    if request.hub_id:
        return _before(request, lambda known: stages(known))
    planned = [stage for stage in _all(request) if not stage.on_request]
    return _fitting(request, planned)


def verbs() -> list[str]:
    """Return the names of the stages' programs, in the order of the pipeline."""
    return [stages_of.__name__.strip("_") for stages_of in _ORDER]


def says(verb: str) -> str:
    """Return one line on what a stage does."""
    return next(str(stages_of.__doc__) for stages_of in _ORDER if stages_of.__name__ == f"_{verb}")


def up_to(request: Request, verb: str) -> list[Stage]:
    """Return the stages needed for `verb` to have run, itself included.

    Raises:
        UsageError: this build has no such stage, e.g. quantize in fp16; or see `fitness`.
    """
    if request.hub_id and verb != "fetch":
        return _before(request, lambda known: up_to(known, verb))
    planned = [stage for stage in _all(request) if stage.verb == verb or not stage.on_request]
    ends = [index for index, stage in enumerate(planned) if stage.verb == verb]
    if not ends:
        raise UsageError(
            f"A build of {request.model.name} in {request.precision.name} has no stage {verb!r}.",
            remedy=f"its stages: {', '.join(dict.fromkeys(stage.verb for stage in planned))}",
        )
    return _fitting(request, planned[: ends[-1] + 1])


def places(request: Request, stage: Stage) -> dict[str, Path]:
    """Return what a user calls the files that a stage sees, by the stage's own names for them."""
    sources = {mount.target: mount.source for mount in stage.mounts}
    if not (path := request.weights_path):
        return sources
    # Each file of the weights has a mount; where they are links, a user knows those.
    others = {name: place for name, place in sources.items() if not name.startswith(f"{WEIGHTS}/")}
    return {**others, WEIGHTS: path if path.is_dir() else path.parent}


def _before(request: Request, rest: Callable[[Request], object]) -> list[Stage]:
    """Return the stage that fetches, after a look at the rest as far as it is known."""
    if not request.is_open:
        rest(replace(request, weights="random"))
    return _fetch(request)


def _fitting(request: Request, planned: list[Stage]) -> list[Stage]:
    """Return the stages, or refuse those that end in a context which no board could take."""
    if any(stage.verb == "convert" for stage in planned):
        fitness.require(request)
    return planned


def _all(request: Request) -> list[Stage]:
    return [stage for stages_of in _ORDER for stage in stages_of(request)]


def _fetch(request: Request) -> list[Stage]:
    """Fetch the weights from the Hugging Face hub (licence accepted there, HF_TOKEN set)."""
    if not (hub_id := request.hub_id):
        return []
    arguments = ("--repo", hub_id.repository, "--revision", hub_id.revision)
    outputs = (PurePosixPath("weights"),)
    return [Stage("fetch", "fetch", arguments, outputs=outputs, network=True, resumes=True)]


def _images(request: Request) -> list[Stage]:
    """Write the model's built-in picture set."""
    if request.images:
        return []
    name = request.model.images
    return [Stage(f"images-{name}", "images", ("--set", name), outputs=(_builtin_set(name),))]


def _calibrate(request: Request) -> list[Stage]:
    """Preprocess the calibration and the held-out pictures as DINOv3 does."""
    model = request.model
    calibrated, verified = model.calibration_images, model.verify_images
    is_shared = request.images is not None and request.heldout is None
    beside = [("--beside", str(count)) if is_shared else () for count in (verified, calibrated)]
    exclude = ("--exclude", _at(_calibration_set()))
    return [
        _image_stage(request, "calibration", calibrated, beside[0]),
        _image_stage(request, "heldout", verified, (*exclude, *beside[1])),
    ]


def _export(request: Request) -> list[Stage]:
    """Export the checkpoint to ONNX with external data, and compare it with torch."""
    weights, heads = _Weights(request), _heads(request)
    network = ("--model", request.model.name, "--size", str(request.size))
    arguments: tuple[str, ...] = (*network, "--weights", weights.argument)
    if not request.outputs.is_usual:
        files = {name: Path(mount.target) for name, mount in heads.items()}
        arguments += ("--outputs", str(request.outputs.at(files)))
    arguments += ("--check", _at(_heldout_set()))
    mounts = (*weights.mounts, *heads.values())
    onnx = artefacts.eager_onnx(request.model.name)
    outputs = (*_network_files(onnx), artefacts.with_suffix(onnx, ".json"))
    return [Stage("export", "export", arguments, (_heldout_set(),), mounts, outputs)]


def _lower(request: Request) -> list[Stage]:
    """Rewrite the network into forms that the HTP is fast at: the same function in fp32."""
    source, weights = artefacts.eager_onnx(request.model.name), _Weights(request)
    name, files = f"lower-{request.precision.name}", _network_files(source)
    rewrites = artefacts.rewrites(request.model.name, request.precision.name)
    outputs = (*_network_files(_lowered(request)), rewrites)
    arguments = (*_names(request), "--onnx", _at(source))
    if request.input == catalog.FLOATS:
        return [Stage(name, "lower", arguments, files, outputs=outputs)]
    arguments += ("--input", request.input, *weights.preprocessor)
    return [Stage(name, "lower", arguments, files, weights.mounts, outputs)]


def _audit(request: Request) -> list[Stage]:
    """Measure every activation's range, and refuse fp16 where it would overflow."""
    source, quantised = _lowered(request), request.precision.weights < 16
    calibration = ("--calibration", _at(_calibration_set()))
    arguments = (*_names(request), "--onnx", _at(source), *calibration)
    inputs = (*_network_files(source), _calibration_set())
    outputs = (artefacts.ranges(request.model.name, request.precision.name),)
    return [
        Stage(
            f"audit-{request.precision.name}",
            "audit",
            arguments,
            inputs,
            outputs=outputs,
            on_request=quantised,
            judges=True,
        )
    ]


def _quantize(request: Request) -> list[Stage]:
    """Calibrate activations and quantise weights: fp32 ONNX and encodings."""
    if request.precision.weights == 16:
        return []
    source = _lowered(request)
    calibration = ("--calibration", _at(_calibration_set()))
    how = (*calibration, "--method", request.method, *_budget(request))
    arguments = (*_names(request), "--onnx", _at(source), *how)
    inputs = (*_network_files(source), _calibration_set())
    mounts: tuple[Mount, ...] = ()
    if request.widths:
        mounts, arguments = (Mount(request.widths, WIDTHS),), (*arguments, "--widths", WIDTHS)
    if request.encodings:
        mounts = (Mount(request.encodings, ENCODINGS),)
        arguments = (*arguments, "--encodings", ENCODINGS)
    name, outputs = f"quantize-{request.precision.name}", _quantized_outputs(request)
    return [Stage(name, "quantize", arguments, inputs, mounts, outputs)]


def _diagnose(request: Request) -> list[Stage]:
    """Find where quantisation hurts: the residual stream against fp32, layer by layer, plotted."""
    if request.precision.weights == 16:
        return []
    source, encodings = _quantized_files(request)
    precision = request.precision.name
    network = ("--onnx", _at(source), "--encodings", _at(encodings))
    arguments = ("--precision", precision, *network, "--inputs", _at(_heldout_set()))
    files = (*_network_files(source), encodings, _heldout_set())
    return [Stage(f"diagnose-{precision}", "diagnose", arguments, files, on_request=True)]


def _convert(request: Request) -> list[Stage]:
    """Translate ONNX and encodings into a QNN model: `.cpp`, `.bin`, `_net.json`."""
    source = _lowered(request)
    files: tuple[PurePosixPath, ...] = _network_files(source)
    arguments: tuple[str, ...] = ()
    if request.precision.weights < 16:
        source, encodings = _quantized_files(request)
        files = (*_network_files(source), encodings)
        arguments = ("--encodings", _at(encodings))
    where = ("--target", request.target.name, "--onnx", _at(source))
    arguments = (*_names(request), *where, *arguments)
    name, outputs = f"convert-{request.precision.name}", _model_files(request)
    return [Stage(name, "convert", arguments, files, outputs=outputs)]


def _compile(request: Request) -> list[Stage]:
    """Compile the model into libraries for this host (clang) and the board (GCC 11)."""
    cpp, weights = _model_files(request)
    arguments = (*_names(request), "--cpp", _at(cpp), "--bin", _at(weights))
    names = (request.model.name, request.precision.name)
    toolchains = (HOST_TOOLCHAIN, BOARD_TOOLCHAIN)
    outputs = tuple(artefacts.model_library(*names, toolchain) for toolchain in toolchains)
    name = f"compile-{request.precision.name}"
    return [Stage(name, "compile", arguments, (cpp, weights), outputs=outputs)]


def _context(request: Request) -> list[Stage]:
    """Compile the HTP context binary for the target, from the host's model library."""
    precision, target = request.precision.name, request.target.name
    library = artefacts.model_library(request.model.name, precision, HOST_TOOLCHAIN)
    arguments = ("--precision", precision, "--library", _at(library), "--target", target)
    name, outputs = f"context-{precision}-{target}", _context_files(precision)
    return [Stage(name, "context", arguments, (library,), outputs=outputs)]


def _profile(request: Request) -> list[Stage]:
    """Report the compiler's simulated time on the device, and where it goes."""
    precision = request.precision.name
    context = artefacts.context_binary(precision)
    arguments = ("--precision", precision, "--context", _at(context))
    outputs = (artefacts.profile_report(precision),)
    files = _context_files(precision)
    return [Stage(f"profile-{precision}", "profile", arguments, files, outputs=outputs)]


def _verify(request: Request) -> list[Stage]:
    """Run the context in the HTP simulator, compare with fp32, and apply the gate."""
    precision, weights = request.precision.name, _Weights(request)
    context, source = artefacts.context_binary(precision), artefacts.eager_onnx(request.model.name)
    network = _lowered(request)
    pictures, mounts, inputs = _pictures(request, "heldout")
    head = ("--head", f"{weights.argument}/head.safetensors") if _has_head(request) else ()
    quantised: tuple[PurePosixPath, ...] = ()
    engines: tuple[str, ...] = ("--simulate", str(request.model.simulated(request.size)))
    if request.precision.weights < 16:
        onnx, encodings = _quantized_files(request)
        quantised = (*_network_files(onnx), encodings)
        engines += ("--quantised", _at(onnx), "--encodings", _at(encodings))
    arguments = (
        *_names(request),
        *("--context", _at(context), "--network", _at(network), "--onnx", _at(source), *engines),
        *("--heldout", _at(_heldout_set()), "--images", pictures, *head),
        *(() if request.gate else ("--no-gate",)),
    )
    files = (context, network, *_network_files(source), *quantised, _heldout_set(), *inputs)
    mounted = mounts + weights.mounts
    golden = artefacts.golden_outputs(precision, request.outputs.names)
    outputs = (artefacts.verify_report(precision), artefacts.features(precision), *golden)
    return [Stage(f"verify-{precision}", "verify", arguments, files, mounted, outputs, judges=True)]


def _report(request: Request) -> list[Stage]:
    """Write what the build came to as one HTML page: verdict, features, ranges, time, origin."""
    names = Names(request.model, request.precision, request.target)
    arguments = (*_names(request), "--target", request.target.name, "--build", str(BUILD))
    inputs = tuple(files.paths(names).values())
    name, outputs = (
        f"report-{request.precision.name}",
        (artefacts.report_page(names.precision.name),),
    )
    return [Stage(name, "report", arguments, inputs, outputs=outputs, describes=True)]


def _package(request: Request) -> list[Stage]:
    """Pack all that a board needs into one archive, with manifest, SBOM and provenance."""
    model, precision, weights = request.model.name, request.precision.name, _Weights(request)
    inputs = {
        "--context": artefacts.context_binary(precision),
        "--network": _lowered(request),
        "--verify": artefacts.verify_report(precision),
        "--profile": artefacts.profile_report(precision),
        "--report": artefacts.report_page(precision),
        "--export": artefacts.with_suffix(artefacts.eager_onnx(model), ".json"),
        "--library": artefacts.model_library(model, precision, BOARD_TOOLCHAIN),
    }
    if request.precision.budgeted:
        inputs["--widths"] = artefacts.widths(model, precision)
    names = (*_names(request), "--name", request.network, "--target", request.target.name)
    arguments = (*names, "--weights", weights.argument)
    arguments += tuple(text for name, path in inputs.items() for text in (name, _at(path)))
    outputs = artefacts.golden_outputs(precision, request.outputs.names)
    golden = (_heldout_set() / FIRST[request.input], *outputs)
    arguments += ("--golden", *map(_at, golden))
    arguments += ("--notices", OWN_NOTICES)
    own = (Mount(source.ROOT / name, f"{OWN_NOTICES}/{name}") for name in source.NOTICES)
    files, mounts = (*inputs.values(), *golden), (*weights.mounts, *own)
    name = f"package-{precision}-{request.target.name}"
    packed = (artefacts.package(request.network, precision, request.target.name),)
    return [Stage(name, "package", arguments, files, mounts, packed, describes=True)]


_ORDER: tuple[Callable[[Request], list[Stage]], ...] = (
    _fetch,
    _images,
    _calibrate,
    _export,
    _lower,
    _audit,
    _quantize,
    _diagnose,
    _convert,
    _compile,
    _context,
    _profile,
    _verify,
    _report,
    _package,
)


@dataclass(frozen=True)
class _Weights:
    request: Request

    @property
    def argument(self) -> str:
        return self.request.weights if self.request.synthetic else WEIGHTS

    @property
    def preprocessor(self) -> tuple[str, ...]:
        """The option that says whose mean and deviation hold; random weights have none."""
        return () if self.request.synthetic else ("--weights", self.argument)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        files = contents.seen(self.request.weights_path) if self.request.weights_path else {}
        return tuple(Mount(path, f"{WEIGHTS}/{name}") for name, path in files.items())


def _at(path: PurePosixPath) -> str:
    return str(BUILD / path)


def _names(request: Request) -> tuple[str, ...]:
    return ("--model", request.model.name, "--precision", request.precision.name)


def _budget(request: Request) -> tuple[str, ...]:
    limits = {"--max-ms": request.max_ms, "--min-cosine": request.min_cosine}
    budget = [text for name, value in limits.items() if value for text in (name, str(value))]
    return ("--target", request.target.clock.name, *budget)


def _calibration_set() -> PurePosixPath:
    return artefacts.image_set("calibration")


def _heldout_set() -> PurePosixPath:
    return artefacts.image_set("heldout")


def _network_files(onnx: PurePosixPath) -> tuple[PurePosixPath, ...]:
    return (onnx, artefacts.with_suffix(onnx, ".onnx_data"))


def _lowered(request: Request) -> PurePosixPath:
    return artefacts.lowered_onnx(request.model.name, request.precision.name)


def _quantized_files(request: Request) -> tuple[PurePosixPath, PurePosixPath]:
    names = (request.model.name, request.precision.name)
    return artefacts.quantized_onnx(*names), artefacts.encodings(*names)


def _quantized_outputs(request: Request) -> tuple[PurePosixPath, ...]:
    names = (request.model.name, request.precision.name)
    onnx, encodings = _quantized_files(request)
    reports = (artefacts.widths(*names), artefacts.frontier(*names))
    return (*_network_files(onnx), encodings, *reports)


def _model_files(request: Request) -> tuple[PurePosixPath, PurePosixPath]:
    cpp = artefacts.model_cpp(request.model.name, request.precision.name)
    return cpp, artefacts.with_suffix(cpp, ".bin")


def _context_files(precision: str) -> tuple[PurePosixPath, ...]:
    context = artefacts.context_binary(precision)
    return (context, artefacts.estimate(precision), artefacts.timeline(precision))


def _builtin_set(name: str) -> PurePosixPath:
    return PurePosixPath("images") / name


def _heads(request: Request) -> dict[str, Mount]:
    """Return what brings the files of heads, by the names of their outputs."""
    files = request.outputs.heads.items()
    return {name: Mount(file, f"/heads/{name}.safetensors") for name, file in files}


def _has_head(request: Request) -> bool:
    return request.own_head is not None and not request.head_misfit


def _image_stage(request: Request, part: str, count: int, extra: tuple[str, ...]) -> Stage:
    weights = _Weights(request)
    folder, mounts, inputs = _pictures(request, part)
    size = str(request.size)
    network = ("--model", request.model.name, "--size", size)
    arguments: tuple[str, ...] = ("--images", folder, "--set", part, *network)
    arguments += ("--count", str(count), *extra, *weights.preprocessor)
    excluded = (_calibration_set(),) if "--exclude" in extra else ()
    files = (*inputs, *excluded)
    outputs, mounted = (artefacts.image_set(part),), mounts + weights.mounts
    return Stage(f"calibrate-{part}", "calibrate", arguments, files, mounted, outputs)


def _pictures(
    request: Request, part: str
) -> tuple[str, tuple[Mount, ...], tuple[PurePosixPath, ...]]:
    """Return where the pictures of a part are seen, and what brings them there."""
    if request.images is None:
        folder = _builtin_set(request.model.images) / part
        return _at(folder), (), (folder,)
    source: Path = request.images
    if part == "heldout" and request.heldout:
        source = request.heldout
    return (*picture_mounts.of(source), ())
