"""Pack a finished build into one archive that a board can be given: the same build, the same bytes.

The archive holds the network, Qualcomm's device libraries of the very build that compiled it, the
licence texts, a manifest, an SBOM and provenance.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path, PurePosixPath

from openqnn.progress import heartbeat, say
from scripts import artefacts, catalog, program, source
from scripts.htp import sdk
from scripts.package import archive, provenance
from scripts.package.contents import Build, items
from scripts.pictures.picture_input import PictureInput
from scripts.words import counted

RUNNER = sdk.EMBEDDED / "bin" / sdk.DEVICE / "dinov3-run"
CLIENT = (sdk.EMBEDDED / "include/dinov3.hpp", sdk.EMBEDDED / "lib" / sdk.DEVICE / "libdinov3.a")


def main(arguments: argparse.Namespace) -> None:
    """Write the archive under `--out`.

    Raises:
        SdkError: files of two SDK builds would be mixed, or licence texts are missing.
        ArtefactError: an input is missing, or made for another board.
    """
    build = _build(arguments)
    path = arguments.out / _archive(arguments)
    with heartbeat(f"packing {path.name}"):
        packed = items(build)
        archive.write(path, build.name, packed)
    say(f"  {counted(len(packed), 'file')}, {path.stat().st_size / 1e6:.1f} MB: {path.name}")


def _build(arguments: argparse.Namespace) -> Build:
    return Build(
        name=_archive(arguments).name.removesuffix(".tar.gz"),
        model=catalog.pick(catalog.models(), arguments.model, "model"),
        precision=catalog.pick(catalog.precisions(), arguments.precision, "precision"),
        target=catalog.pick(catalog.targets(), arguments.target, "target"),
        weights=arguments.weights,
        context=arguments.context,
        takes=PictureInput.load(arguments.network),
        sdk=arguments.sdk or sdk.in_force().root,
        reports={name: getattr(arguments, name) for name in ("verify", "profile", "export")},
        host=provenance.facts_from(arguments.provenance_facts),
        page=arguments.report,
        library=arguments.library,
        widths=arguments.widths,
        runner=arguments.runner,
        client=tuple(arguments.client),
        golden=tuple(arguments.golden or ()),
        notices=arguments.notices,
    )


def _archive(arguments: argparse.Namespace) -> PurePosixPath:
    network = arguments.name or arguments.model
    return artefacts.package(network, arguments.precision, arguments.target)


def _parser() -> argparse.ArgumentParser:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--name", help="name of the network in the archive's; default: the model's")
    parser.add_argument("--precision", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--weights", required=True, help="checkpoint directory or random[:SEED]")
    parser.add_argument("--context", type=Path, required=True, help="HTP context binary")
    parser.add_argument("--network", type=Path, required=True, help="lowered: what was compiled")
    parser.add_argument("--verify", type=Path, required=True, help="accuracy report")
    parser.add_argument("--profile", type=Path, required=True, help="simulated latency report")
    parser.add_argument("--report", type=Path, help="page of the report stage")
    parser.add_argument("--export", type=Path, required=True, help="report of the export stage")
    parser.add_argument("--widths", type=Path, help="what quantize chose, where weights vary")
    parser.add_argument("--library", type=Path, help="aarch64 model library")
    parser.add_argument(
        "--runner", type=Path, default=RUNNER, help="aarch64 program that runs a context binary"
    )
    parser.add_argument(
        "--client", type=Path, nargs="*", default=CLIENT, help="its library, and the header of that"
    )
    parser.add_argument(
        "--golden", type=Path, nargs="+", metavar="FILE",
        help="an input, and the raw float32 outputs expected of it, tried on the board",
    )  # fmt: skip
    parser.add_argument(
        "--notices", type=Path, default=source.ROOT, help="folder of this project's own licence"
    )
    parser.add_argument("--sdk", type=Path, help="SDK root; default: the one in force")
    parser.add_argument(
        "--provenance-facts", default=os.environ.get(artefacts.FACTS_VARIABLE, ""),
        help=f"JSON of what only the host knows; default: ${artefacts.FACTS_VARIABLE}",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
