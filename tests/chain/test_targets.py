"""Every target of the catalog: its numbers are the compiler's, and digits is faithful on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from openqnn.network.onnx_network import Network as Exported
from openqnn.quantization import observe
from scripts import artefacts, catalog
from scripts.catalog import Target
from scripts.errors import CompileError, ConversionError
from scripts.htp import contexts, conversion, estimate, sdk
from scripts.picture_size import PictureSize
from scripts.pictures.picture_input import PictureInput
from scripts.verification import by_output, features, gate
from scripts.verification.features import ByOutput
from tests.chain import building
from tests.chain.building import Network

Libraries = Callable[[str], dict[str, Path]]
TARGETS = [pytest.param(target, id=name) for name, target in catalog.targets().items()]
# One target of each architecture.
ARCHS = {target.arch: target for target in catalog.targets().values()}
# The oldest architecture, the newest and one between: S takes the simulator minutes.
FEW = ("qcs6490", "sm8650", "sm8850")
PICTURES = {"digits": 8, "vits16": 1}


@dataclass(frozen=True)
class HeldOut:
    """Raw files of pictures that calibration has not seen, and float32's features of them."""

    files: list[Path]
    reference: ByOutput


@pytest.fixture(scope="module")
def held_out(
    network: Callable[[str], Network], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], HeldOut]:
    def make(name: str) -> HeldOut:
        exported, model, root = network(name), catalog.models()[name], tmp_path_factory.mktemp(name)
        of = ("--model", name, "--size", str(model.image_size), "--count", str(PICTURES[name]))
        pictures = exported.root / f"images/{model.images}/heldout"
        building.stage("calibrate", root, *of, "--images", pictures, "--set", "heldout")
        files = sorted((root / artefacts.image_set("heldout")).glob("*.raw"))
        outputs = observe.outputs(Exported.load(exported.eager), files, "float32")
        return HeldOut(files, {name: np.concatenate(rows) for name, rows in outputs.items()})

    return cache(make)


def compiled(library: Path, precision: str, target: Target, folder: Path) -> Path:
    """A context, whose SoC, architecture and VTCM were held against the target's."""
    context = folder / f"{precision}.serialized.bin"
    contexts.compile_context(library, catalog.precisions()[precision], target, context)
    return context


def require_faithful(exported: Network, held_out: HeldOut, context: Path) -> None:
    """Hold a context's features, in the simulator, against the gate of int8."""
    takes = PictureInput.load(exported.source("int8")[0])
    eager = Exported.load(exported.eager)
    built = features.of_context(context, eager, held_out.files, takes)
    rows, columns = PictureSize(*eager.shapes()[features.INPUT][-2:]).patches(
        catalog.models()[exported.name].patch_size
    )
    figures = by_output.figures(held_out.reference, built, rows * columns)
    assert figures
    gate.apply(figures, catalog.precisions()["int8"], skip=False)


@pytest.mark.parametrize("target", TARGETS)
def test_digits_is_faithful_on_it(
    network: Callable[[str], Network],
    libraries: Libraries,
    held_out: Callable[[str], HeldOut],
    tmp_path: Path,
    target: Target,
) -> None:
    context = compiled(libraries("int8")[sdk.HOST], "int8", target, tmp_path)
    assert (estimate.load(context) is None) == bool(target.timed_by)
    require_faithful(network("digits"), held_out("digits"), context)


@pytest.mark.parametrize("target", TARGETS)
def test_it_has_no_more_vtcm(libraries: Libraries, tmp_path: Path, target: Target) -> None:
    larger = replace(target, vtcm_mb=target.vtcm_mb + 1)
    with pytest.raises(CompileError, match=f"the device has {target.vtcm_mb}"):
        compiled(libraries("int8")[sdk.HOST], "int8", larger, tmp_path)


@pytest.mark.parametrize("precision", ["fp16", "w8a16", "w4a16"])
@pytest.mark.parametrize("arch", ARCHS)
def test_it_lacks_no_other_precision(
    libraries: Libraries, tmp_path: Path, arch: str, precision: str
) -> None:
    target, library = ARCHS[arch], libraries(precision)[sdk.HOST]
    if precision not in target.lacks:
        assert compiled(library, precision, target, tmp_path).stat().st_size
        return
    with pytest.raises(CompileError, match="the backend refuses a node"):
        compiled(library, precision, target, tmp_path)


def test_what_v68_lacks_is_refused_by_the_converter_as_well(
    network: Callable[[str], Network], tmp_path: Path
) -> None:
    target, exported = ARCHS["v68"], network("digits")
    conversion.convert(*exported.source("int8"), tmp_path / "int8.cpp", target)
    with pytest.raises(ConversionError, match="the HTP backend does not take"):
        conversion.convert(*exported.source("fp16"), tmp_path / "fp16.cpp", target)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_vits16_is_faithful_on_it(
    network: Callable[[str], Network],
    held_out: Callable[[str], HeldOut],
    tmp_path: Path,
    name: str,
) -> None:
    exported, target = network("vits16"), catalog.targets()[name]
    library = building.libraries(exported, "int8", tmp_path)[sdk.HOST]
    context = compiled(library, "int8", target, tmp_path / "context")
    require_faithful(exported, held_out("vits16"), context)
