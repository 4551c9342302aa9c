"""Train the stand-in `trained`: a DINOv3 network whose outliers grow by themselves.

    python -m tests.networks.train --out DIR     # in the image, some 200 processor seconds

It classifies scikit-learn's digits, enlarged. What is known to let outliers grow is left as it is:
a high learning rate, AdamW without weight decay, gradients that are not clipped.
DIR gets a Hugging Face directory, which is not committed, and `training.json`: the recipe, the
loss, the accuracy on held-out digits, and how far magnitudes spread before and after.

One thread, fixed seeds, deterministic algorithms: the same weights on the same kind of processor
with the same torch. Another vector unit adds in another order, and training multiplies that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import mean

import torch
import transformers
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTLayer

from openqnn.progress import say, track
from scripts import digests, program
from scripts.catalog import Model
from scripts.checkpoint.dinov3 import config_of_catalog
from scripts.checkpoint.train_digits import Classifier, Pictures, accuracy, load_split
from scripts.pictures.preprocess import Preprocessing
from tests.networks import standins

WEIGHTS, REPORT = "model.safetensors", standins.TRAINING
# Held-out digits that are asked how far magnitudes spread.
OBSERVED = 64
GAINS = "norm.weight", "norm1.weight", "norm2.weight"

# Of a kind of magnitudes: the largest over the median, and the kurtosis (3 for a normal bell).
Spread = dict[str, float]


@dataclass(frozen=True)
class Recipe:
    """How the network is trained; pictures are rolled by up to `shift` pixels."""

    seed: int = 0
    steps: int = 1000
    rise: float = 0.1
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    shift: int = 8


def untrained(model: Model, seed: int) -> Classifier:
    """Return a network of the form of `model` with a head, as training starts with it."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    return Classifier(config_of_catalog(model))


def train(classifier: Classifier, pictures: Pictures, recipe: Recipe) -> list[float]:
    """Train the classifier, and return the loss of every step."""
    parameters, rate = classifier.parameters(), recipe.learning_rate
    optimizer = AdamW(parameters, lr=rate, weight_decay=recipe.weight_decay)
    schedule = OneCycleLR(optimizer, rate, total_steps=recipe.steps, pct_start=recipe.rise)
    losses = []
    classifier.train()
    for _ in track(range(recipe.steps), "training"):
        batch = torch.randint(len(pictures.labels), (recipe.batch,))
        shifts = torch.randint(-recipe.shift, recipe.shift + 1, (2,)).tolist()
        logits = classifier(pictures.pixels[batch].roll(shifts, (2, 3)))
        loss = functional.cross_entropy(logits, pictures.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    classifier.eval()
    return losses


@torch.no_grad()
def spreads(classifier: Classifier, pixels: Tensor) -> dict[str, Spread]:
    """Return how far magnitudes spread, by kind, of the layer where they spread furthest."""
    streams, ups, downs = _activations(classifier.eval(), pixels)
    named = dict(classifier.named_parameters())
    kinds = {
        "stream, channels": [_by_channel(stream) for stream in streams],
        "stream, tokens": [stream.norm(dim=-1).mean(0) for stream in streams],
        "up-projections, channels": [_by_channel(up) for up in ups],
        "what down-projections read, channels": [_by_channel(down) for down in downs],
        "gains of norms": [named[name].abs() for name in named if name.endswith(GAINS)],
        "LayerScale": [named[name].abs() for name in named if name.endswith("lambda1")],
    }
    return {kind: _furthest(layers) for kind, layers in kinds.items()}


def _activations(classifier: Classifier, pixels: Tensor) -> tuple[list[Tensor], ...]:
    """Return the stream behind each layer, what up-projections write and down-projections read."""
    streams: list[Tensor] = []
    ups: list[Tensor] = []
    downs: list[Tensor] = []
    handles = []
    for layer in (part for part in classifier.modules() if isinstance(part, DINOv3ViTLayer)):
        mlp = layer.mlp
        handles += [
            layer.register_forward_hook(lambda _, __, written: streams.append(written)),
            mlp.up_proj.register_forward_hook(lambda _, __, written: ups.append(written)),
            mlp.down_proj.register_forward_pre_hook(lambda _, read: downs.append(read[0])),
        ]
    classifier(pixels)
    for handle in handles:
        handle.remove()
    return streams, ups, downs


def _by_channel(values: Tensor) -> Tensor:
    """Return the mean magnitude of each channel of [pictures, tokens, channels]."""
    return values.abs().mean((0, 1))


def _furthest(layers: Iterable[Tensor]) -> Spread:
    """Return the spread of magnitudes, a vector a layer, where the largest stands out most."""
    return max(map(_spread, layers), key=lambda spread: spread["max / median"])


def _spread(magnitudes: Tensor) -> Spread:
    """Return max / median, and E[d^4] / E[d^2]^2 of distances from the mean; 0 if there are none.

    A normal bell has a kurtosis of 3, `n` channels of which one alone is large have about `n`.
    """
    values = magnitudes.double()
    squares = (values - values.mean()) ** 2
    kurtosis = (squares**2).mean() / (squares.mean() ** 2).clamp_min(1e-30)
    ratio = values.max() / values.median()
    return {"max / median": round(float(ratio), 2), "kurtosis": round(float(kurtosis), 2)}


def main(arguments: argparse.Namespace) -> None:
    """Train, and save the network with its report."""
    recipe, model = Recipe(), standins.model("trained")
    how = Preprocessing(model.picture_size)
    training, held_out = load_split(False, how), load_split(True, how)
    classifier, observed = untrained(model, recipe.seed), held_out.pixels[:OBSERVED]
    before = spreads(classifier, observed)
    losses = train(classifier, training, recipe)
    transformers.utils.logging.disable_progress_bar()
    classifier.backbone.save_pretrained(arguments.out)
    report = {
        "held_out_accuracy": round(accuracy(classifier, held_out), 4),
        "loss": [round(mean(steps), 4) for steps in (losses[:20], losses[-20:])],
        "before": before,
        "after": spreads(classifier, observed),
        "recipe": asdict(recipe),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "weights_sha256": digests.of_file(arguments.out / WEIGHTS),
    }
    (arguments.out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    say(f"  {report['held_out_accuracy']:.2%} of the held-out digits are classified right")


if __name__ == "__main__":
    program.run(main, program.parser(__doc__).parse_args())
