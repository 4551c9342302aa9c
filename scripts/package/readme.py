"""The README of a package, for whoever finds the archive or the folder on a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FILE = "README.md"

_TEXT = """\
# {name}

{description}, {precision}, compiled for {board}.
Weights: {weights}. Licence of the weights and all made from them: {licence}.

Every Qualcomm file here is of QNN build {build_id}; do not mix it with another.
The board needs glibc {glibc} or newer and: {libraries}.

Check the files, with nothing but coreutils:

    sha256sum -c SHA256SUMS

Run the network, and see how long it takes. Input and output are raw float32, little-endian:
`pixel_values` {input_shape}, {layout}, {colour_order}, normalised; `last_hidden_state`
{output_shape}: {rows}.
`--rgb FILE` takes interleaved RGB bytes of the same size instead, and normalises them.

    bin/dinov3-run --context {context} --input input.raw --output output.raw --runs 10

The runner finds the libraries beside it. A program of your own needs, with FastRPC's semicolons:

    LD_LIBRARY_PATH="$PWD/lib" ADSP_LIBRARY_PATH="$PWD/lib;/usr/lib/rfsa/adsp;/usr/lib/dsp"

`manifest.json` says what is inside, `{sbom}` lists it as CycloneDX, `{provenance}` says from what
it was made. Licence texts: `licences/`.
"""


def text(facts: Mapping[str, Any], context: str, sbom: str, provenance: str) -> bytes:
    """Return the README of the package that `facts`, its manifest's, describe."""
    model, weights = facts["model"], facts["weights"]
    source = "random numbers (synthetic)" if weights["synthetic"] else weights["source"]
    return _TEXT.format(
        name=facts["name"],
        description=model["description"],
        precision=facts["precision"]["name"],
        board=facts["target"]["description"],
        weights=source,
        licence=weights["licence"],
        build_id=facts["sdk"]["build_id"],
        glibc=facts["needs"]["glibc"],
        libraries=", ".join(facts["needs"]["libraries"]),
        input_shape=model["input"]["shape"],
        output_shape=model["output"]["shape"],
        rows=model["output"]["rows"],
        layout=model["input"]["layout"],
        colour_order=model["input"]["colour_order"],
        context=context,
        sbom=sbom,
        provenance=provenance,
    ).encode()
