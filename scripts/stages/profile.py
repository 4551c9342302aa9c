"""Report the compiler's simulated time of an inference on the device, and its DDR traffic.

The compiler made the estimate when it compiled; nothing is simulated here.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from openqnn.progress import say
from scripts import artefacts, program
from scripts.htp import contexts
from scripts.htp.estimate import Estimate


def main(arguments: argparse.Namespace) -> None:
    """Write `profile.json`."""
    estimate = Estimate.load(arguments.context)
    report = {
        "precision": arguments.precision,
        "target": contexts.target_of(arguments.context),
        "context_bytes": arguments.context.stat().st_size,
        "milliseconds": estimate.microseconds / 1000,
        "inferences_per_second": round(1e6 / estimate.microseconds, 2),
        "ddr_bytes": estimate.ddr_bytes,
        "ddr_gigabytes_per_second": round(estimate.ddr_bytes / estimate.microseconds / 1000, 2),
        "compiler": asdict(estimate),
    }
    target = arguments.out / artefacts.profile_report(arguments.precision)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")
    low, high = estimate.microseconds_low / 1000, estimate.microseconds_high / 1000
    say(f"  simulated: {report['milliseconds']:.3f} ms an inference ({low:.3f} to {high:.3f})")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--context", type=Path, required=True, help="context binary")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
