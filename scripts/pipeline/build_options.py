"""The options of a build: every one is a field here, with its default, its help and its check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts import catalog, outputs
from scripts.catalog import Model, Precision, Target
from scripts.image import lanes
from scripts.outputs import Outputs
from scripts.picture_size import PictureSize
from scripts.pipeline import option_values, options
from scripts.pipeline.options import option


@dataclass(frozen=True)
class BuildOptions:
    """Which network, how exact, for which board, from which files, run how.

    The fields stand in the order in which a user meets them.
    """

    model: Model = option(
        "",
        f"network: {', '.join(catalog.models())}; without it, what --weights holds, else digits",
        option_values.model,
        metavar="NAME",
        details="Each is an entry of `scripts/catalog/models.toml`.",
    )
    weights: str = option(
        "",
        "directory, file, owner/name[@revision] on the hub, hf, or random[:SEED]; without it, "
        "the model's own",
        option_values.weights,
        metavar="PATH",
        details="Weights of transformers, timm or Meta, told by their content "
        "([weights.md](weights.md)). `hf` is the model's own repository on the Hugging Face hub, "
        "`hf@REVISION` a branch, tag or commit of it. "
        "What `random` gives is marked synthetic in every manifest. "
        "The DINOv3 weights are gated: "
        "accept the licence on the model's page and set `HF_TOKEN`, or fetch them elsewhere and "
        "give the directory. Fetching from the real hub has not been run where this was written.",
    )
    size: PictureSize = option(
        "",
        "height x width of the input, 512 or 480x640; without it, what the weights' files say",
        option_values.size,
        metavar="PIXELS",
        details="Any size that the network's patches divide, up to 64 patches a side (1024 pixels "
        "with patches of 16). `preprocessor_config.json` counts, then `config.json`, then the "
        "model's entry in the catalog, 224 for the DINOv3 family.",
    )
    images: Path | None = option(
        "",
        "folder of pictures to calibrate and verify on; without it, the model's built-in set",
        option_values.pictures,
        metavar="DIR",
        details="JPEG, PNG, WebP, BMP and TIFF, of 8 or 16 bits a channel, up to 500 megapixels, "
        "nested or not; links are followed, except those to folders above; one to a system folder, "
        "such as /etc, is refused, as containers have their own. Files that cannot be "
        "read, copies, and pictures that are transparent or of nearly one colour are left out and "
        "counted by kind; masks of labels and dark scans, of 12 bits stored in 16, are counted "
        "too. Of the others, those for verification are set aside first, at most a "
        "quarter, and calibration never sees them. Of fewer than four none can be set aside: then "
        "verification has those that calibration has seen, and says so. The built-in set of ViT "
        "models is two photographs cut into crops: enough to try the pipeline, not for real use.",
    )
    heldout: Path | None = option(
        "",
        "folder of pictures to verify on; without it, those of --images not calibrated on",
        option_values.pictures,
        metavar="DIR",
    )
    precision: Precision = option(
        "int8",
        f"{', '.join(catalog.precisions())} (mixed needs a budget); several with commas",
        option_values.precision,
        metavar="NAMES",
        details="`--precision int8,w8a16,fp16` builds them side by side: pictures, calibration and "
        "export are there once, and one that misses its gate does not stop the others "
        "([files.md](files.md#several-precisions)). `w8a16` has 8-bit weights and 16-bit "
        "activations; `w4a16` has 4-bit weights in "
        "all linear layers, `w4a8` in those of MLPs, rounded with the pictures in view. In `int8` "
        "and `w4a8` activations have 8 bits, except those that are faster with 16 bits and the "
        "cheapest few that the gate needs: `models/dinov3_<model>_<precision>.widths.json` "
        "names them. `mixed` takes a budget, `--max-ms "
        "25` or `--min-cosine 0.995`, has weights of 8 bits or those of `w4a8`, and writes all it "
        "could choose from to `models/dinov3_<model>_mixed.frontier.json`.",
    )
    max_ms: float = option(
        "",
        "mixed: the most exact network that takes so many simulated milliseconds",
        options.number("a number above 0", lambda value: value > 0),
        metavar="MS",
    )
    min_cosine: float = option(
        "",
        "mixed: the fastest network with this cosine on pictures kept from calibration",
        options.number("a number between 0 and 1", lambda value: 0 < value < 1),
        metavar="COSINE",
        details="The calibration pictures that 8 bits hurt most count as well, by half of what "
        "they lose. Of fewer than eight pictures none are kept: then calibration's own judge. "
        "With `--max-ms` too, both must hold: the most exact network in time is built if it "
        "reaches the cosine.",
    )
    widths: Path | None = option(
        "",
        "int8, mixed, w4a8: file that pins activations to 8 or 16 bits; others are searched",
        option_values.widths,
        metavar="FILE",
        details='`{"16": {"Softmax to MatMul": "all"}, "8": {"Add to Norm": ["layer.3.Add_2"]}}`: '
        "kinds of activations, all of one or some of its tensors. The `widths.json` of a build, "
        "which also says why it chose so, is such a file: it pins everything.",
    )
    encodings: Path | None = option(
        "",
        "int8, w8a16: encodings that AIMET exported, in place of calibrated ones",
        option_values.encodings,
        metavar="FILE",
        details="A file of `QuantizationSimModel.export`, version 0.6.1, 1.0.0, 2.0.0 or 2.1.0, "
        "of the network `models/dinov3_<model>_<precision>_lowered.onnx` that a build writes "
        "([accuracy.md](accuracy.md)). Weights have 8 bits, symmetric, by channel; activations the "
        "precision's width or 16 bits.",
    )
    target: Target = option(
        "iq9075",
        f"board: {', '.join(catalog.targets())}",
        option_values.target,
        metavar="NAME",
        details="Each is an entry of `scripts/catalog/targets.toml`; [targets.md](targets.md) says "
        "what each has, lacks and was tried with.",
    )
    input: str = option(
        catalog.FLOATS,
        "what the network takes: float32 (planes, normalised) or uint8 (RGB, only resized)",
        options.one_of(catalog.INPUTS),
        metavar="TYPE",
        details="With `uint8` the network takes the bytes of a resized picture, RGB in NHWC, as "
        "they are: mean and deviation are in its weights. `float32` takes normalised planes, NCHW.",
    )
    outputs: Outputs = option(
        outputs.TOKENS_ALONE,
        f"what the network gives: {outputs.GRAMMAR}",
        option_values.outputs,
        metavar="LIST",
        details="`tokens` is `last_hidden_state` [1, tokens, hidden]; `cls` [1, hidden], `patches` "
        "[1, h*w, hidden] and `features` [1, hidden, h, w] are cut out of it. `layers=7,15` gives "
        "`layer_7` and `layer_15`, features after the last norm, layers counted from 0, as DINO's "
        "`get_intermediate_layers(norm=True)` does. A head is a safetensors file with `weight` "
        "[classes, hidden] and perhaps `bias`, both with a prefix or without, and nothing else; a "
        "convolution of 1 x 1 is one, too: `head=FILE` gives logits [1, classes] of CLS, "
        "`patch-head=FILE` logits `patch_head` [1, classes, h, w] of the patches. Numbers behind a "
        "comma continue `layers`. Each is a tensor of its own, and the gate judges each.",
    )
    method: str = option(
        catalog.MIN_MAX,
        f"how activations' ranges are calibrated: {', '.join(catalog.METHODS)}",
        options.one_of(catalog.METHODS),
        metavar="NAME",
    )
    gate: bool = option(
        True,
        "fail where verify falls short of the precision's gate; --no-gate records that it did",
    )
    sign: Path | None = option(
        "",
        "private SSH key to sign with",
        option_values.key,
        metavar="KEY",
        details="Writes the signature, `.sig`, and signed provenance, `.intoto.jsonl`, beside the "
        "archive ([attestations.md](attestations.md)).",
    )
    build_dir: Path = option(
        "build",
        "folder where artefacts go",
        option_values.build_dir,
        metavar="DIR",
    )
    cache: str = option(
        "",
        "cache that machines share, http(s)://host/path; without it, $DINOV3_QNN_CACHE",
        option_values.cache,
        metavar="URL",
        details="Results of stages that others built are taken from there, and nothing is written "
        "([cache.md](cache.md)).",
        variable="DINOV3_QNN_CACHE",
    )
    cache_write: bool = option(
        False, "give the cache what is built here, and compare with what it has: for CI"
    )
    sdk: Path | None = option(
        "",
        "official QAIRT SDK to use instead of openqnn; without it, $QAIRT_SDK_ROOT",
        option_values.sdk,
        metavar="DIR",
        details="See [sdk.md](sdk.md).",
        variable="QAIRT_SDK_ROOT",
    )
    lane: str = option(
        lanes.DEFAULT,
        f"build image: {', '.join(lanes.names())}",
        option_values.lane,
        metavar="NAME",
        details="Each is a file in `docker/lanes/`.",
    )
    memory: float = option(
        "",
        "memory limit of a stage in GB; without it, nearly all there is",
        options.number("a number from 0.1 to 100000", lambda value: 0.1 <= value <= 100_000),
        metavar="GB",
    )
    jobs: int = option(
        "",
        "stages that run at once, at most; without it, one more than there are cores",
        option_values.jobs,
        metavar="NUMBER",
        details="Less run where memory is short: what a stage took before is what it is expected "
        "to take, on the first run what `invoke doctor` says of the network. With 1 they run in "
        "the order of the plan.",
    )
