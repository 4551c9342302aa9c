"""What goes into a package, and the facts its manifest begins with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from scripts import source
from scripts.catalog import Model, Precision, Target
from scripts.errors import ArtefactError, SdkError
from scripts.htp.interface import Interface
from scripts.outputs import MEANINGS, TOKENS
from scripts.package import (
    build_id,
    compiler,
    epcontext,
    licences,
    manifest,
    provenance,
    readme,
    runtime,
    sbom,
    weights,
)
from scripts.package.item import PROGRAM, Item
from scripts.pictures import preprocess
from scripts.pictures.picture_input import PictureInput
from scripts.pictures.preprocess import Preprocessing


@dataclass(frozen=True)
class Build:
    """One finished build: its names, its files, and what is known about where it comes from.

    `reports` are the JSON files of the stages verify, profile and export, `page` that of the stage
    report; `golden` an input, as the network `takes` it, and the raw float32 outputs that the
    simulator gives for it; `notices` the folder of this project's own licence.
    """

    name: str
    model: Model
    precision: Precision
    target: Target
    weights: str
    context: Path
    takes: PictureInput
    sdk: Path
    reports: Mapping[str, Path]
    host: Mapping[str, Any]
    runner: Path
    library: Path | None = None
    # What `quantize` chose, where it chose the bits of weights as well.
    widths: Path | None = None
    page: Path | None = None
    golden: tuple[Path, ...] = ()
    # The runner's library for programs of one's own, and its header.
    client: tuple[Path, ...] = ()
    notices: Path = source.ROOT


def items(build: Build) -> list[Item]:
    """Return every file of the package.

    Raises:
        SdkError: the SDK's files are not of one build, or the context is of another.
        ArtefactError: a file is missing, or the context is for another board.
    """
    payload = _payload(build)
    facts = _facts(build, payload)
    payload.append(_for_onnx_runtime(build, facts))
    paths = {item.role: item.path for item in payload}
    text = readme.text(facts, paths, sbom.FILE, provenance.FILE)
    payload.append(Item(readme.FILE, text, "readme"))
    entries = [item.entry() for item in payload]
    statement = manifest.as_json(provenance.make(facts, build.host, entries))
    bill = manifest.as_json(sbom.make(facts, entries))
    extra = [Item(provenance.FILE, statement, "provenance"), Item(sbom.FILE, bill, "sbom")]
    entries += [item.entry() for item in extra]
    document = manifest.dump(facts, entries)
    sums = manifest.sums(entries, document)
    closing = [Item(manifest.MANIFEST, document, "manifest"), Item(manifest.SUMS, sums, "sums")]
    return [*payload, *extra, *closing]


def _payload(build: Build) -> list[Item]:
    _check_context(build)
    items = [Item(f"model/{build.context.name}", build.context, "context binary")]
    if build.library:
        items.append(Item(f"model/{build.library.name}", build.library, "model library"))
    items += runtime.libraries(build.sdk, build.target)
    items.append(Item(f"bin/{build.runner.name}", build.runner, "runner", PROGRAM))
    items += _golden(*build.golden) if build.golden else []
    items += _samples(*build.client)
    items += [Item(f"reports/{name}.json", path, "report") for name, path in build.reports.items()]
    items += [
        Item(f"licences/dinov3-qnn/{name}", build.notices / name, "licence")
        for name in source.NOTICES
    ]
    if build.page:
        items.append(Item(manifest.PAGE, build.page, "report"))
    return items + licences.of_sdk(build.sdk) + weights.licences(build.model, build.weights)


def _for_onnx_runtime(build: Build, facts: Mapping[str, Any]) -> Item:
    interface = Interface.read(build.sdk, build.context)
    content = epcontext.dump(interface, build.context.name, facts)
    return Item(epcontext.path(interface), content, epcontext.ROLE)


def _samples(*client: Path) -> list[Item]:
    """Return programs to start from, the one in C++ where its library is there."""
    own = Path(__file__)
    items = [Item("samples/features.py", own.with_name("sample.py"), "sample")]
    if client:
        items.append(Item("samples/features.cpp", own.with_name("sample.cpp"), "sample"))
    return items + [Item(f"samples/{path.name}", path, "runner library") for path in client]


def _golden(source: Path, *outputs: Path) -> list[Item]:
    """Return the input and what is expected of it, by the outputs' names where they are several."""
    items = [Item(f"golden/input{source.suffix}", source, "golden")]
    for file in outputs:
        name = file.name if len(outputs) > 1 else "output.raw"
        items.append(Item(f"golden/{name}", file, "golden"))
    return items


def _check_context(build: Build) -> None:
    expected = compiler.build_id_of(build.sdk)
    if not build_id.carried(build.context, expected):
        raise SdkError(
            f"{build.context.name} is of build {build_id.find(build.context)}, the SDK in force"
            f" of build {expected}.",
            cause="the SDK changed after the context binary was made",
            remedy="run `invoke build` again: it makes a context binary with the SDK in force",
        )
    compiled = build_id.compiled_for(build.context)
    target = (build.target.soc_name, build.target.arch)
    if compiled and compiled != target:
        raise ArtefactError(
            f"{build.context.name} was compiled for {' '.join(compiled)}, not {' '.join(target)}.",
            remedy=f"build it for the board: invoke build --target {build.target.name}",
        )


def _weight_bits(build: Build) -> int:
    """Return the bits of weights; 4 are for those of some layers."""
    widths = json.loads(build.widths.read_text()) if build.widths else {}
    return int(widths.get("why", {}).get("weights", build.precision.weights))


def _facts(build: Build, payload: list[Item]) -> dict[str, Any]:
    return {
        "name": build.name,
        "model": _model(build),
        "weights": weights.facts(build.model, build.weights),
        "precision": {
            "name": build.precision.name,
            "weights": _weight_bits(build),
            "activations": build.precision.activations,
        },
        "target": _target(build.target),
        "sdk": compiler.named(build.sdk),
        "image": build.host.get("image", {"digest": "unknown"}),
        "source": build.host.get("source", {"digest": {}}),
        "needs": runtime.needs(payload, build.target),
        "accuracy": _figures(build.reports["verify"]),
        "simulated_latency": _figures(build.reports["profile"]),
    }


def _model(build: Build) -> dict[str, Any]:
    """Return the model and its tensors, by the configuration that was exported."""
    model, report = build.model, _figures(build.reports["export"])
    return {
        "name": model.name,
        "description": model.description,
        "input": _input(
            build.takes, preprocess.settings(build.takes.size, Path(build.weights), model)
        ),
        **_outputs(build, report),
    }


def _outputs(build: Build, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one output of all tokens, or the list of those that were asked for."""
    if "outputs" in report:
        outputs = report["outputs"].items()
        return {"outputs": [{"name": name, "dtype": "float32", **facts} for name, facts in outputs]}
    config, patches = report["config"], prod(build.takes.size.patches(build.model.patch_size))
    shape = [1, 1 + config["num_register_tokens"] + patches, config["hidden_size"]]
    tokens = {"name": TOKENS, "shape": shape, "dtype": "float32"}
    return {"output": {**tokens, "rows": MEANINGS[TOKENS]}}


def _input(takes: PictureInput, how: Preprocessing) -> dict[str, Any]:
    """Return what a picture must be: mean and deviation are of values in [0, 1]."""
    normalised = {"range": [0, 1], "mean": list(how.mean), "std": list(how.std)}
    return {
        "name": takes.name,
        "shape": list(takes.shape),
        "dtype": str(takes.dtype),
        "layout": takes.layout,
        "colour_order": "RGB",
        "preprocessing": {
            "resize": "bilinear, antialiased",
            **({"range": [0, 255]} if takes.is_bytes else normalised),
        },
    }


def _target(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "description": target.description,
        "soc_model": target.soc_model,
        "soc_name": target.soc_name,
        "socs": list(target.socs),
        "arch": target.arch,
        "vtcm_mb": target.vtcm_mb,
        "glibc": target.glibc,
    }


def _figures(report: Path) -> dict[str, Any]:
    """Return what a report says of the network as a whole, and not of single pictures."""
    try:
        document = json.loads(report.read_text())
    except FileNotFoundError:
        raise ArtefactError(f"{report} does not exist.", remedy="run that stage first") from None
    except ValueError as error:
        raise ArtefactError(f"{report} is not JSON: {error}") from error
    return manifest.figures(document)
