"""From a picture to DINOv3's features, and with a head to a label, with ONNX Runtime.

    pip install numpy pillow onnxruntime onnxruntime-qnn
    python samples/features.py picture.jpg --output features.npz
    python samples/features.py picture.jpg --head head.safetensors

On a board it runs on the NPU, with the libraries of the package around it; on an x86_64 computer in
Qualcomm's simulator. It needs nothing else of the package's makers: take what you need out of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from PIL import Image, ImageOps
except ImportError as error:
    raise SystemExit(f"{error}: pip install numpy pillow onnxruntime onnxruntime-qnn") from None

PACKAGE = Path(__file__).resolve().parents[1]
PROVIDER = "QNNExecutionProvider"
# What FastRPC searches for the library that runs on the DSP, behind the package's own folder.
DSP_FOLDERS = "/usr/lib/rfsa/adsp;/usr/lib/dsp"
BEST = 5
# What Pillow raises of files that are no pictures, damaged or too large.
UNREADABLE = (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError)
# What a head's numbers may be in a safetensors file; NumPy has no bfloat16.
FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def main() -> None:
    """Print the features' shapes and, with a head, the most likely classes."""
    arguments = _arguments()
    manifest = json.loads((arguments.package / "manifest.json").read_text())
    pixels = preprocessed(arguments.picture, manifest["model"]["input"])
    features = outputs(session(arguments.package, manifest), pixels)
    for name, values in features.items():
        print(f"{name} {list(values.shape)}")
    if arguments.output:
        np.savez(arguments.output, **features)
    if arguments.head or "head" in features:
        names = arguments.labels.read_text().splitlines() if arguments.labels else []
        for label, share in classes(features, arguments.head)[:BEST]:
            print(f"{names[label] if label < len(names) else label}: {share:.1%}")


def preprocessed(picture: Path, network: dict[str, Any]) -> Any:
    """Return a picture as the network takes it, by the manifest's description of the input.

    Either normalised float32 planes [1, 3, height, width], or bytes [1, height, width, 3]; RGB.
    """
    shape, how = network["shape"], network["preprocessing"]
    is_bytes = network["dtype"] == "uint8"
    height, width = shape[1:3] if is_bytes else shape[2:4]
    rgb = _rgb(picture)
    # Pillow's bilinear filter is antialiased; resized as floats, nothing is rounded on the way.
    planes = np.stack([_resized(rgb[..., channel], width, height) for channel in range(3)])
    if is_bytes:
        return np.rint(planes).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)[None]
    mean, std = (np.array(how[key], np.float32)[:, None, None] for key in ("mean", "std"))
    return ((planes / 255 - mean) / std)[None]


def session(package: Path, manifest: dict[str, Any]) -> Any:
    """Return a session of the package's ONNX file, in which the QNN provider runs all of it."""
    try:
        import onnxruntime
        import onnxruntime_qnn
    except ImportError as error:
        raise SystemExit(f"{error}: pip install onnxruntime onnxruntime-qnn") from None

    library = Path(onnxruntime_qnn.__file__).with_name("libQnnHtp.so")
    if platform.machine() == "aarch64":
        library = package / "lib/libQnnHtp.so"
        known = os.environ.get("ADSP_LIBRARY_PATH", DSP_FOLDERS)
        os.environ["ADSP_LIBRARY_PATH"] = f"{package / 'lib'};{known}"
    onnxruntime.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER]
    devices.sort(key=lambda device: device.device.type != onnxruntime.OrtHardwareDeviceType.NPU)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_provider_for_devices(
        devices[:1], {"backend_path": str(library), "htp_performance_mode": "burst"}
    )
    (model,) = (row["path"] for row in manifest["files"] if row["role"] == "ONNX Runtime model")
    return onnxruntime.InferenceSession(package / model, sess_options=options)


def outputs(network: Any, pixels: Any) -> dict[str, Any]:
    """Return the network's outputs by name."""
    names = [value.name for value in network.get_outputs()]
    (taken,) = network.get_inputs()
    return dict(zip(names, network.run(names, {taken.name: pixels}), strict=True))


def classes(features: dict[str, Any], head: Path | None) -> list[tuple[int, float]]:
    """Return classes and their softmax, the most likely first.

    The head is a linear layer on the CLS token, `weight` [classes, hidden] and `bias` in a
    safetensors file; without one it is that of the network itself.
    """
    if head is None:
        logits = features["head"][0]
    else:
        cls = features["cls"][0] if "cls" in features else features["last_hidden_state"][0, 0]
        weight, bias = _layer(head, cls.size)
        logits = weight @ cls + bias
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return [(int(label), float(shares[label])) for label in np.argsort(-shares)]


def _rgb(picture: Path) -> Any:
    """Return a picture's pixels [height, width, 3] from 0 to 255, the right way up."""
    try:
        with Image.open(picture) as image:
            upright = ImageOps.exif_transpose(image)
    except UNREADABLE as error:
        raise SystemExit(f"{picture} cannot be read as a picture: {error}") from None
    if upright.mode.startswith("I;16"):  # Pillow's own conversion makes 255 of all from 255 on
        grey = np.rint(np.asarray(upright, np.float32) * (255 / 65535))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if upright.mode in ("I", "F"):
        raise SystemExit(
            f"{picture} has {upright.mode} pixels, whose brightest value is not known: "
            "convert it to 8 bits a channel."
        )
    return np.asarray(upright.convert("RGB"), np.float32)


def _resized(plane: Any, width: int, height: int) -> Any:
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))


def _layer(head: Path, hidden: int) -> tuple[Any, Any]:
    """Return the weight [classes, hidden] and the bias [classes] of a head, 0 where it has none."""
    try:
        layer = _safetensors(head)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SystemExit(f"{head} is no whole safetensors file.") from None
    if "weight" not in layer:
        names = ", ".join(layer) or "nothing"
        raise SystemExit(f"{head} has no tensor `weight`: it has {names}.")
    weight, bias = layer["weight"], layer.get("bias", 0)
    if weight.ndim != 2 or weight.shape[1] != hidden:
        shape = list(weight.shape)
        raise SystemExit(f"{head} has a weight {shape}; the network has [classes, {hidden}].")
    if np.shape(bias) not in ((), (len(weight),)):
        raise SystemExit(f"{head} has a bias {list(bias.shape)} for {len(weight)} classes.")
    return weight, bias


def _safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a file as float32: a length, a header in JSON, and bytes."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    tensors = {}
    for name, row in header.items():
        if name != "__metadata__":
            if row["dtype"] not in FLOATS:
                known = ", ".join(FLOATS)
                raise SystemExit(f"{path} has {name} in {row['dtype']}; {known} are read.")
            first, end = row["data_offsets"]
            values = np.frombuffer(data[begin + first : begin + end], FLOATS[row["dtype"]])
            tensors[name] = values.reshape(row["shape"]).astype(np.float32)
    return tensors


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--output", type=Path, help="where the outputs are written, .npz")
    parser.add_argument("--head", type=Path, help="linear layer on the CLS token, .safetensors")
    parser.add_argument("--labels", type=Path, help="names of the head's classes, a line each")
    parser.add_argument("--package", type=Path, default=PACKAGE, help="the package's folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
