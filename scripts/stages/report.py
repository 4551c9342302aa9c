"""Write the report of a build as one HTML page: what it came to, what its features look like.

Nothing in it was measured by a clock: the same build gives the same bytes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from openqnn.progress import say
from scripts import artefacts, catalog, program
from scripts.package import provenance
from scripts.report import page, reading
from scripts.report.files import Names


def main(arguments: argparse.Namespace) -> None:
    """Write `report.html`.

    Raises:
        UsageError: a name is not in the catalog.
    """
    names = Names(
        catalog.pick(catalog.models(), arguments.model, "model"),
        catalog.pick(catalog.precisions(), arguments.precision, "precision"),
        catalog.pick(catalog.targets(), arguments.target, "target"),
    )
    host = provenance.facts_from(arguments.provenance_facts)
    text = page.html(reading.read(arguments.build, names, host))
    path = arguments.out / artefacts.report_page(names.precision.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    say(f"  {len(text.encode()) / 1000:.0f} kB: {path.name}")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--target", required=True, help="name in the catalog")
    parser.add_argument("--build", type=Path, required=True, help="folder of the build's files")
    parser.add_argument(
        "--provenance-facts", default=os.environ.get(artefacts.FACTS_VARIABLE, ""),
        help=f"JSON of what only the host knows; default: ${artefacts.FACTS_VARIABLE}",
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
