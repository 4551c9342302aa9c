"""What a path given as weights holds: family, size, precision stored, source; without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from math import isclose, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import catalog, json_object
from scripts.catalog import Model
from scripts.checkpoint import files, names, pickled, shapes
from scripts.checkpoint.configuration import DEFAULTS, read_config
from scripts.checkpoint.header import read_header
from scripts.checkpoint.names import HUGGING_FACE, Backbone
from scripts.checkpoint.pickled import Pickled
from scripts.checkpoint.tensors import STORED_TYPES, Tensor, Zeros, is_finite, refuse_type
from scripts.errors import CheckpointError
from scripts.json_object import FETCH_AGAIN
from scripts.picture_size import PictureSize
from scripts.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IN_WORDS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# Of what a directory holds, the containers see these: weights, what describes them, licences.
LICENCES = re.compile(r"(LICEN[CS]E|NOTICE|COPYING).*", re.IGNORECASE)
SEEN = re.compile(
    r"(config|preprocessor_config|origin)\.json|head\.safetensors|.*\.index\.json"
    r"|(LICEN[CS]E|NOTICE|COPYING).*",
    re.IGNORECASE,
)
# What config.json and the catalog say of the same.
_IN_CONFIG = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_attention_heads": "heads",
    "num_hidden_layers": "layers",
    "patch_size": "patch_size",
    "use_gated_mlp": "gated_mlp",
}
# What config.json says, and the tensor and axis that tell it.
_IN_SHAPES = {
    "num_channels": ("embeddings.patch_embeddings.weight", 1),
    "num_register_tokens": ("embeddings.register_tokens", 1),
}
# A header of safetensors from its 4th byte: the rest of a length below 16 MB, then JSON.
_HEADER = bytes(5) + b"{"
# Every path from picture to features goes through these: zeros in one make features constant.
_CARRIES_PICTURE = ("embeddings.patch_embeddings.weight", "norm.weight")
_LAYER = re.compile(r"layer\.(\d+)\.")
_NO_BIAS = re.compile(r"layer\.\d+\.attention\.[qv]_proj\.bias")


@dataclass(frozen=True)
class Contents:
    """Weights at a path, which is one file or a directory, and the backbone in them."""

    path: Path
    files: tuple[Path, ...]
    backbone: Backbone

    @property
    def directory(self) -> Path | None:
        """The directory that describes them, None for a file that was given alone."""
        return self.path if self.path.is_dir() else None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration of transformers, empty where there is none."""
        return read_config(self.directory) if self.directory else {}

    @property
    def architecture(self) -> dict[str, Any]:
        """The sizes that the tensors' shapes tell, named as in the catalog.

        Raises:
            CheckpointError: a tensor that tells them is missing, or has other axes.
        """
        patches = self._shape("embeddings.patch_embeddings.weight", axes=4)
        inner = self._shape("layer.0.mlp.up_proj.weight", axes=2)
        numbers = [_LAYER.match(name) for name in self.backbone.tensors]
        return {
            "patch_size": patches[-1],
            "hidden_size": patches[0],
            "layers": max(int(number[1]) for number in numbers if number) + 1,
            "intermediate_size": inner[0],
            "gated_mlp": "layer.0.mlp.gate_proj.weight" in self.backbone.tensors,
        }

    def _shape(self, name: str, axes: int) -> tuple[int, ...]:
        tensor = self.backbone.tensors.get(name)
        if tensor and len(tensor.shape) == axes:
            return tensor.shape
        wrong = f"is {list(tensor.shape)}, not of {axes} axes" if tensor else "is missing"
        raise CheckpointError(
            f"{self.place} holds a part of a DINOv3 ViT only: tensor {name} {wrong}.",
            cause="layers under names of another program, or a part of a network",
            remedy="give weights named as by transformers, timm or Meta",
        )

    @property
    def place(self) -> Path:
        """What messages name: the file, or the directory of several shards."""
        return self.files[0] if len(self.files) == 1 else self.path

    def model(self) -> Model:
        """Return the family member that these are weights of, told by shapes, then by colours.

        Raises:
            CheckpointError: there is none of these sizes.
        """
        sizes = self.architecture
        fitting = [
            model
            for model in catalog.models().values()
            if all(getattr(model, key) == value for key, value in sizes.items())
        ]
        if not fitting:
            raise CheckpointError(
                f"{self.path} is of no DINOv3 ViT known here: "
                f"{', '.join(f'{key} {value}' for key, value in sizes.items())}.",
                remedy=f"known are: {', '.join(catalog.models())}",
            )
        model = next((model for model in fitting if self._looks_like(model)), fitting[0])
        self._require_parts(model)
        return model

    def _looks_like(self, model: Model) -> bool:
        """Whether mean or name are those of a model that shares its shapes with others."""
        if means := self._mean():
            pairs = zip(means, model.mean, strict=True)
            return all(isclose(*pair, rel_tol=0.0, abs_tol=5e-4) for pair in pairs)
        is_satellite = any("sat493m" in str(path).lower() for path in (*self.files, self.path))
        return is_satellite == model.name.endswith("-sat")

    def _mean(self) -> list[float]:
        if not self.directory:
            return []
        processor = json_object.read(self.directory / files.PROCESSOR)
        timms = json_object.read(self.directory / files.CONFIG).get("pretrained_cfg")
        if not processor.get("do_normalize", True):
            return []
        own = timms.get("mean") if isinstance(timms, dict) else None
        return list(processor.get("image_mean") or own or [])

    def _require_parts(self, model: Model) -> None:
        """Refuse what is not all of a family member: its configuration, then its tensors."""
        self._require_config(model)
        self.complete(shapes.of_model(model, self.config))

    def complete(self, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """Return the tensors, with the biases that are left out because they are zeros.

        Raises:
            CheckpointError: one is missing, unexpected, of another shape than `expected` says, of
                a type that is no floating-point number, or zeros that make features constant.
        """
        tensors = dict(self.backbone.tensors)
        if self.backbone.convention is not HUGGING_FACE:
            left_out = (name for name in expected if name not in tensors)
            biases = filter(_NO_BIAS.fullmatch, left_out)
            tensors |= {name: Zeros(self.place, expected[name]) for name in biases}
        for name, tensor in tensors.items():
            if tensor.dtype and tensor.dtype not in STORED_TYPES:
                raise refuse_type(tensor.file, name, tensor.dtype)
        if problems := names.differences(tensors, expected):
            raise self._unfit(problems)
        _refuse_blank(tensors)
        return tensors

    def _unfit(self, problems: Sequence[str]) -> CheckpointError:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        two = "config.json and weights of two models" if self.config else "a part of a network"
        return CheckpointError(
            f"The tensors in {self.place} are not those of the model: "
            f"{'; '.join(problems[:3])}{more}.",
            cause=f"{two}, or layers that were added to it",
            remedy="give --weights the directory as published, or save the backbone alone",
        )

    def _require_config(self, model: Model) -> None:
        """Refuse a configuration of another network than the weights are of."""
        for key, own in _IN_CONFIG.items() if self.config else ():
            right = getattr(model, own)
            if self._said(key) != right:
                raise CheckpointError(
                    f"{self.path}: {files.CONFIG} {self._saying(key)}, and the weights are of "
                    f"{model.name}, which has {right}.",
                    cause="config.json and weights of two models",
                    remedy=FETCH_AGAIN,
                )
        self._require_shapes()
        self._require_timms(model)

    def _require_timms(self, model: Model) -> None:
        """Refuse timm's configuration of another network; a name that is not timm's may be any."""
        own = names.IN_TIMM.get(model.name.removesuffix("-sat"), "")
        if self.config or not self.directory or not own:
            return
        said = json_object.read(self.directory / files.CONFIG).get("architecture")
        if isinstance(said, str) and said.startswith(names.TIMMS) and not said.startswith(own):
            raise CheckpointError(
                f"{self.path}: {files.CONFIG} says architecture {said}, and the weights are of "
                f"{model.name}, which is {own}.",
                cause="config.json and weights of two models",
                remedy=FETCH_AGAIN,
            )

    def _require_shapes(self) -> None:
        """Refuse a configuration that says other sizes than those of the tensors that tell them."""
        for key, (tensor, axis) in _IN_SHAPES.items() if self.config else ():
            stored = self.backbone.tensors.get(tensor)
            shape = stored.shape if stored else ()
            if shape and shape[axis : axis + 1] != (self._said(key),):
                raise CheckpointError(
                    f"{self.path}: {files.CONFIG} {self._saying(key)}, and {tensor} of the weights "
                    f"is {list(shape)}.",
                    cause="config.json and weights of two models",
                    remedy=FETCH_AGAIN,
                )

    def _said(self, key: str) -> object:
        """Return what transformers takes from the configuration; a missing key has a default."""
        return self.config.get(key, DEFAULTS[key])

    def _saying(self, key: str) -> str:
        if key in self.config:
            return f"says {key} {self.config[key]}"
        return f"lacks {key}, which stands for {DEFAULTS[key]}"

    def require(self, model: Model) -> None:
        """Refuse weights of another family member.

        Raises:
            CheckpointError: their shapes are of another one, or of none.
        """
        sizes = self.architecture
        for key, value in sizes.items():
            if getattr(model, key) != value:
                raise CheckpointError(
                    f"{self.path} is not {model.name}: its {key} is {value}, "
                    f"not {getattr(model, key)}.",
                    remedy="choose --model and --weights that belong together; without --model, "
                    "--weights says it",
                )
        self._require_parts(model)

    def require_sound(self) -> None:
        """Read all weights of the backbone once.

        A file of torch.save is held against its checksums; its values are for torch to read.

        Raises:
            CheckpointError: a value is NaN or infinite, or a file is not what was written.
        """
        tensors = self.backbone.tensors
        of_torch = {tensor.file for tensor in tensors.values() if isinstance(tensor, Pickled)}
        for file in sorted(of_torch):
            pickled.require_sums(file)
        for name, tensor in tensors.items():
            if tensor.file not in of_torch:
                _finite(name, tensor)

    @property
    def parameters(self) -> int:
        """The number of parameters of the backbone."""
        return sum(prod(tensor.shape) for tensor in self.backbone.tensors.values())

    def summary(self, model: Model) -> str:
        """Return one line: family, size in parameters, precision stored, source."""
        stored = {tensor.dtype for tensor in self.backbone.tensors.values()}
        types = " and ".join(sorted(_IN_WORDS.get(dtype, dtype) for dtype in stored))
        what = f"{model.description.partition(',')[0]} ({model.name})"
        count = f"{self.parameters / 1e6:.1f} M parameters"
        source = f"{self.backbone.convention.name} names"
        return f"{what}, {count}, {types}, {source}, {self._place()}"

    def _place(self) -> str:
        where = self.files[0].name if len(self.files) == 1 else f"{len(self.files)} shards"
        prefix = self.backbone.prefix.rstrip("./")
        return f"{where} under {prefix}" if prefix else where

    @property
    def remainder(self) -> str:
        """What is left out, in one line; nothing where all is used."""
        left = self.backbone.left_out
        if not left:
            return ""
        groups = sorted({_group(name, self.backbone.prefix) for name in left})
        more = f" and {len(groups) - 6} more" if len(groups) > 6 else ""
        return f"left out: {counted(len(left), 'tensor')} ({', '.join(groups[:6])}{more})"


def _group(name: str, prefix: str) -> str:
    """Return what names a part of a network: one step further than the backbone's own prefix."""
    steps = name.split(".")
    pairs = zip(steps, prefix.split("."), strict=False)
    shared = [*takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return ".".join(steps[: max(2, len(shared) + 1)])


class Checkpoint:
    """The tensors of a backbone, found and checked.

    Raises:
        CheckpointError: see `look` and `Contents.complete`.
    """

    def __init__(self, path: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
        self.contents = look(path)
        self._tensors = self.contents.complete(expected)

    @property
    def names(self) -> list[str]:
        """Every tensor, sorted."""
        return sorted(self._tensors)

    def read(self, name: str) -> NDArray[np.float32]:
        """Return one tensor.

        Raises:
            CheckpointError: it holds NaN or infinite values.
        """
        return _finite(name, self._tensors[name])

    def require_sound(self) -> None:
        """Read every tensor once.

        Raises:
            CheckpointError: one holds NaN or infinite values, or its file is damaged.
        """
        for name in self.names:
            self.read(name)


def _finite(name: str, tensor: Tensor) -> NDArray[np.float32]:
    """Return a tensor's values, or refuse those that are no numbers."""
    values = tensor.read()
    if not is_finite(values):
        raise CheckpointError(
            f"{tensor.file}: tensor {name} has NaN or infinite values.",
            cause="a damaged file, or a training run that diverged",
            remedy=FETCH_AGAIN,
        )
    return values


def _refuse_blank(tensors: Mapping[str, Tensor]) -> None:
    for name in _CARRIES_PICTURE:
        if tensors[name].is_blank():
            raise CheckpointError(
                f"{tensors[name].file}: tensor {name} is all zeros: features would be the same for "
                "every picture.",
                cause="a network that was saved before its weights were loaded",
                remedy="load the weights, then save them; or fetch the file again",
            )


def look(path: Path) -> Contents:
    """Return what a file or directory of weights holds, from its headers alone.

    Raises:
        CheckpointError: it is damaged, incomplete, has code in it, or is no DINOv3 ViT's.
    """
    if not path.is_dir():
        files.require_whole(path)
    shards = tuple(files.weight_files(path) if path.is_dir() else [path])
    tensors: dict[str, Tensor] = {}
    for file in shards:
        header = tensors_of(file)
        if twice := sorted(header.keys() & tensors):
            raise CheckpointError(
                f"{file} holds {twice[0]} once more.", remedy="give the shards of one model"
            )
        tensors |= header
    contents = Contents(path, shards, names.backbone(path, tensors))
    names.refuse_lora(contents.place, contents.backbone.tensors)
    contents.config  # noqa: B018, a wrong one is refused now
    if contents.directory:
        from scripts.pictures import preprocess  # slow to import: not for every command

        preprocess.settings(PictureSize.square(1), contents.directory)
    return contents


def tensors_of(file: Path) -> dict[str, Tensor]:
    """Return the tensors of one file, told by its first bytes.

    Raises:
        CheckpointError: it cannot be read, or is no complete file of weights.
    """
    if not file.is_file():
        raise files.refuse_file(file)
    try:
        with file.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise CheckpointError(
            f"{file} cannot be read: {error.strerror}.", remedy="give --weights a file or directory"
        ) from error
    return pickled.tensors(file) if _is_pickled(file, start) else read_header(file)


def _is_pickled(file: Path, start: bytes) -> bool:
    """Whether a file is torch's; a header of safetensors may be as long as an old pickle begins."""
    if start[3:] == _HEADER:
        return False
    is_torchs = files.is_named_as_weights(file.name) and file.suffix.lower() != ".safetensors"
    old = start.startswith(pickled.OLD_PICKLE) and is_torchs
    return start.startswith(pickled.ZIP) or old


def seen(path: Path) -> dict[str, Path]:
    """Return what a container is to see of weights: names, and where links lead to.

    A Hugging Face cache holds links out of the directory, which lead nowhere from inside.

    Raises:
        CheckpointError: see `look`.
    """
    if path.is_dir():
        beside, weights = SEEN, look(path).files
    else:
        beside, weights = LICENCES, (path,)
    folder = path if path.is_dir() else path.parent
    described = [file for file in folder.iterdir() if beside.fullmatch(file.name)]
    everything = {*filter(Path.is_file, described), *weights}
    return {file.name: file.resolve() for file in sorted(everything)}
