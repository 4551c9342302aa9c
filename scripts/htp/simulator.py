"""A context binary in the HTP simulator: `qnn-net-run` on raw files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openqnn.progress import track
from scripts.errors import ArtefactError
from scripts.htp import sdk, tools

Array = NDArray[np.float32]
# Raw files a run of the tool: enough to make its start cheap, few enough to show progress.
BATCH = 10


def run(
    context: Path,
    raws: Sequence[Path],
    shapes: Mapping[str, tuple[int, ...]],
    scratch: Path,
    *,
    native: bool = False,
) -> Iterator[dict[str, Array]]:
    """Yield a context's outputs for each raw file, float32 of `shapes`, by name.

    `native` files hold the input's own type, others float32.

    Raises:
        ArtefactError: the context is damaged, or gives an output of another size.
    """
    root = sdk.in_force()
    batches = [raws[start : start + BATCH] for start in range(0, len(raws), BATCH)]
    for number, batch in enumerate(track(batches, "HTP simulator")):
        folder = scratch / str(number)
        _run_tool(root, context, batch, folder, native=native)
        for index in range(len(batch)):
            result = folder / f"Result_{index}"
            yield {name: _read(result / f"{name}.raw", shape) for name, shape in shapes.items()}


def _run_tool(
    root: sdk.Sdk, context: Path, raws: Sequence[Path], folder: Path, *, native: bool
) -> None:
    folder.mkdir()
    listing = folder / "input_list.txt"
    listing.write_text("".join(f"{path.absolute()}\n" for path in raws))
    tools.run(
        root,
        "qnn-net-run",
        *("--retrieve_context", context, "--backend", root.library("libQnnHtp.so")),
        *("--input_list", listing, "--output_dir", folder),
        *(["--use_native_input_files"] if native else []),
        cwd=folder,
        error=ArtefactError,
        cause="a context binary that was changed after it was built, or is for another SDK",
    )


def _read(path: Path, shape: tuple[int, ...]) -> Array:
    if not path.is_file():
        raise ArtefactError(f"The simulator left no {path.name}: the context has other outputs.")
    values = np.fromfile(path, np.float32)
    if values.size != np.prod(shape):
        raise ArtefactError(f"{path.name} has {values.size} values, not {shape}.")
    return values.reshape(shape)
