"""Report the compiler's simulated time of an inference on the device, and where it goes.

The compiler made the estimate and the timeline when it compiled; nothing is simulated here. It has
none for some SoCs, and the report says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

from openqnn.progress import say
from scripts import artefacts, program
from scripts.htp import breakdown, contexts, estimate
from scripts.htp.attribution import Attribution
from scripts.htp.estimate import Estimate
from scripts.htp.timeline import Timeline


def main(arguments: argparse.Namespace) -> None:
    """Write `profile.json`; where the compiler gave a timeline, that as a trace and a table."""
    compiled_for = contexts.target_of(arguments.context)
    simulated, timeline = estimate.load(arguments.context), Timeline.load(arguments.context)
    time = _time(simulated) if simulated else _no_time(compiled_for["soc_type"])
    report = {
        "precision": arguments.precision,
        "target": compiled_for,
        "context_bytes": arguments.context.stat().st_size,
        **time,
    }
    if timeline.events:
        divided = Attribution.of(timeline)
        _write(arguments, artefacts.trace, "".join(timeline.chrome()))
        _write(arguments, artefacts.operators, breakdown.table(divided))
        report |= breakdown.report(divided)
        shares = ", ".join(f"{unit} {share:.0%}" for unit, share in report["busy"].items())
        say(f"  busy: {shares}")
    _write(arguments, artefacts.profile_report, json.dumps(report, indent=1) + "\n")


def _time(simulated: Estimate) -> dict[str, Any]:
    milliseconds, microseconds = simulated.microseconds / 1000, simulated.microseconds
    low, high = simulated.microseconds_low / 1000, simulated.microseconds_high / 1000
    say(f"  simulated: {milliseconds:.3f} ms an inference ({low:.3f} to {high:.3f})")
    return {
        "milliseconds": milliseconds,
        "inferences_per_second": round(1e6 / microseconds, 2),
        "ddr_bytes": simulated.ddr_bytes,
        "ddr_gigabytes_per_second": round(simulated.ddr_bytes / microseconds / 1000, 2),
        "compiler": asdict(simulated),
    }


def _no_time(soc: str) -> dict[str, Any]:
    reason = f"no estimate for {soc}: Qualcomm's compiler does not simulate its time"
    say(f"  {reason}")
    return {"milliseconds": None, "no_estimate": reason}


def _write(arguments: argparse.Namespace, name: Callable[[str], PurePath], text: str) -> None:
    path = arguments.out / name(arguments.precision)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--context", type=Path, required=True, help="context binary")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
