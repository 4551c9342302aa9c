"""The README of a package, for whoever finds the archive or the folder on a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.package import epcontext

FILE = "README.md"

_TEXT = """\
# {name}

{description}, {precision}, compiled for {board}.
Weights: {weights}. Licence of the weights and all made from them: {licence}.

Every Qualcomm file here is of QNN build {build_id}; do not mix it with another.
The board needs glibc {glibc} or newer and: {libraries}.

Check the files, with nothing but coreutils:

    sha256sum -c SHA256SUMS

`reports/report.html` shows in any browser how true the network is to float32, picture by picture.

Run the network, and see how long it takes:

    bin/dinov3-run --context {context} {option} --output {output} --runs 10 --perf burst

`--perf` votes for clocks (burst, balanced, power-saver; default leaves them to the board), `--npu`
picks one of the board's NPUs, and `--repeat N` ends with p50, p90, p99 and the configuration as
JSON.

The input is `pixel_values` {input_shape}, {dtype}, {layout}, {colour_order}.
{preprocessing}
{outputs}

The runner finds the libraries beside it. A program of your own needs, with FastRPC's semicolons:

    LD_LIBRARY_PATH="$PWD/lib" ADSP_LIBRARY_PATH="$PWD/lib;/usr/lib/rfsa/adsp;/usr/lib/dsp"

For ONNX Runtime with its QNN provider , `{onnx}` is the
same network: one EPContext node around the context binary, which has to stay beside it.
`samples/features.py` takes a picture to features that way, and with `--head` to a label:

    pip install numpy pillow onnxruntime onnxruntime-qnn
    python samples/features.py picture.jpg --output features.npz

`samples/features.cpp` does so without Python, on `samples/libdinov3.a`, which `dinov3-run` uses:

    aarch64-linux-gnu-g++ -std=c++17 -Isamples samples/features.cpp samples/libdinov3.a \\
        -pthread -ldl -o features
    ./features {context} picture.ppm outputs

qai-appbuilder takes the context as it is, after `QNNConfig.Config(runtime=Runtime.HTP)`:
`QNNContext("dinov3", "{context}").Inference([pixels])`.

`manifest.json` says what is inside, `{sbom}` lists it as CycloneDX, `{provenance}` says from what
it was made. Licence texts: `licences/`.
"""
_SEVERAL = """\
These are the outputs, raw little-endian float32; of several, each is `<name>.raw` in the folder
`outputs`:"""
_BYTES = """\
These are the bytes of a picture as a camera gives them, interleaved and resized to the network's
size (bilinear, antialiased): nothing else is to be done to them. QNN calls them UFIXED_POINT_8 of
scale 1, offset 0."""
_FLOATS = """\
That is a picture with values in [0, 1], resized (bilinear, antialiased), minus the channels' mean
{mean}, divided by their deviation {std}; raw, little-endian.
`--rgb FILE` takes interleaved RGB bytes of the same size instead, and normalises them by the mean
and deviation in `manifest.json`."""


def text(facts: Mapping[str, Any], paths: Mapping[str, str], sbom: str, provenance: str) -> bytes:
    """Return the README of the package that `facts`, its manifest's, describe.

    `paths` are its files by their roles.
    """
    model, weights = facts["model"], facts["weights"]
    how = model["input"]["preprocessing"]
    return _TEXT.format(
        name=facts["name"],
        description=model["description"],
        precision=facts["precision"]["name"],
        board=facts["target"]["description"],
        weights=_source(weights),
        licence=weights["licence"],
        build_id=facts["sdk"]["build_id"],
        glibc=facts["needs"]["glibc"],
        libraries=", ".join(facts["needs"]["libraries"]),
        input_shape=model["input"]["shape"],
        outputs=_outputs(model),
        output="outputs" if len(model.get("outputs", ())) > 1 else "output.raw",
        dtype=model["input"]["dtype"],
        preprocessing=_preprocessing(how),
        option="--input input.raw" if "mean" in how else "--rgb input.rgb",
        layout=model["input"]["layout"],
        colour_order=model["input"]["colour_order"],
        context=paths["context binary"],
        onnx=paths[epcontext.ROLE],
        sbom=sbom,
        provenance=provenance,
    ).encode()


def _outputs(model: Mapping[str, Any]) -> str:
    if tokens := model.get("output"):
        rows, shape = tokens["rows"], tokens["shape"]
        return f"The output is `{tokens['name']}` {shape}, raw little-endian float32: {rows}."
    lines = [f"`{row['name']}` {row['shape']}: {row['meaning']}" for row in model["outputs"]]
    if len(lines) == 1:
        return f"The output, raw little-endian float32, is {lines[0]}."
    return "\n".join([_SEVERAL, "", *(f"* {line}" for line in lines)])


def _source(weights: Mapping[str, Any]) -> str:
    if weights["synthetic"]:
        return "random numbers (synthetic)"
    if commit := weights.get("commit"):
        return f"{weights['source']} at {commit}"
    return f"{weights['source']}, SHA-256 of the list of files {weights['sha256']}"


def _preprocessing(how: Mapping[str, Any]) -> str:
    if "mean" not in how:
        return _BYTES
    return _FLOATS.format(mean=how["mean"], std=how["std"])
