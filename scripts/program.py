"""What all stages' programs share: the `--out` folder, exit codes, and a record of the cost."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from openqnn.refusal import DamagedFile, Refused, UnfitSamples
from scripts import artefacts, errors, refusal


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that already knows `--out`, the folder all outputs are written under."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the outputs under")
    return parser


def run(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> NoReturn:
    """Run `main`, record time and peak memory in `--out`, and exit with the error's own code."""
    started = time.monotonic()
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        main(arguments)
        _record(arguments.out, time.monotonic() - started)
    except errors.PipelineError as error:
        _fail(error)
    except Refused as refused:
        _fail(_named(refused))
    except OSError as error:
        named = errors.from_os_error(error)
        if named is None:
            raise
        _fail(named)
    except MemoryError:
        _fail(errors.OutOfMemoryError("The stage ran out of memory.", remedy="see `invoke doctor`"))
    except KeyboardInterrupt:
        sys.exit(errors.INTERRUPTED)
    sys.exit(0)


def _named(refused: Refused) -> errors.PipelineError:
    """Return our error for what openqnn's code refuses."""
    classes = {DamagedFile: errors.ArtefactError, UnfitSamples: errors.CalibrationError}
    named = classes.get(type(refused), errors.ConversionError)
    return named(refused.what, cause=refused.cause, remedy=refused.remedy)


def peak_memory() -> int:
    """Return the largest resident set of this process or any ended child, in bytes."""
    processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(process).ru_maxrss for process in processes) * 1024


def _record(out: Path, seconds: float) -> None:
    usage = {"seconds": round(seconds, 3), "peak_memory_bytes": peak_memory()}
    (out / artefacts.USAGE_FILE).write_text(json.dumps(usage) + "\n")


def _fail(error: errors.PipelineError) -> NoReturn:
    """Hand an error to the host that waits for it, or say it; exit with its code."""
    try:
        refusal.save(error, Path(os.environ[refusal.VARIABLE]))
    except (KeyError, OSError):
        print(error, file=sys.stderr, flush=True)
    sys.exit(error.exit_code)
