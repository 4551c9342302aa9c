"""Train the `digits` model: a small DINOv3 network that classifies handwritten digits.

Run it as `python -m scripts.checkpoint.train_digits --out scripts/catalog/digits`. One thread,
fixed seeds: it takes a minute or two and gives the same weights on the same kind of processor.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from openqnn.progress import say, track
from scripts import program
from scripts.errors import ConversionError
from scripts.picture_size import PictureSize
from scripts.pictures import digits, preprocess

IMAGE = preprocess.Preprocessing(PictureSize.square(32))
NETWORK = {
    "image_size": IMAGE.size.height,
    "patch_size": 8,
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "num_register_tokens": 4,
    "use_gated_mlp": True,
    "hidden_act": "silu",
    "pos_embed_rescale": None,
}
LEAST_ACCURACY = 0.98


@dataclass(frozen=True)
class Recipe:
    """How the network is trained: rotation in radians, zoom and shift as shares of the picture."""

    seed: int = 0
    epochs: int = 40
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    turn: float = 0.22
    zoom: float = 0.12
    shift: float = 0.14


@dataclass(frozen=True)
class Pictures:
    """Pixels [n, 3, height, width] and labels [n]."""

    pixels: Tensor
    labels: Tensor


class Classifier(nn.Module):
    """A network, that of digits if no other is given, and a linear layer on its CLS token."""

    def __init__(self, config: DINOv3ViTConfig | None = None) -> None:
        super().__init__()
        self.backbone = DINOv3ViTModel(config or DINOv3ViTConfig(**NETWORK))
        self.head = nn.Linear(self.backbone.config.hidden_size, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits [n, 10]."""
        return self.head(self.backbone(pixels).last_hidden_state[:, 0])


def load_split(held_out: bool, image: preprocess.Preprocessing = IMAGE) -> Pictures:
    """Return one half of the digits, preprocessed as the pipeline does."""
    selection = [digit for digit in digits.load() if digit.held_out == held_out]
    pixels = np.stack([preprocess.to_pixels(digit.picture, image) for digit in selection])
    return Pictures(torch.from_numpy(pixels), torch.tensor([digit.label for digit in selection]))


def train(pictures: Pictures, recipe: Recipe) -> Classifier:
    """Return a classifier trained on `pictures`, in evaluation mode."""
    torch.manual_seed(recipe.seed)
    model = Classifier().train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    rounds = recipe.epochs * (len(pictures.labels) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=rounds, pct_start=0.1
    )
    for _ in track(range(rounds), "training"):
        batch = torch.randint(len(pictures.labels), (recipe.batch,))
        logits = model(distort(pictures.pixels[batch], recipe))
        loss = functional.cross_entropy(
            logits, pictures.labels[batch], label_smoothing=recipe.label_smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def distort(pixels: Tensor, recipe: Recipe) -> Tensor:
    """Return the pictures turned, zoomed and shifted at random, on the same paper."""
    paper = torch.from_numpy(preprocess.to_pixels(digits.render(np.zeros((8, 8))), IMAGE))
    turn = _noise(len(pixels)) * recipe.turn
    zoom = 1 + _noise(len(pixels)) * recipe.zoom
    right, down = _noise(len(pixels)) * recipe.shift, _noise(len(pixels)) * recipe.shift
    along, across = turn.cos() * zoom, turn.sin() * zoom
    matrix = torch.stack([along, -across, right, across, along, down], 1).view(-1, 2, 3)
    grid = functional.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels - paper, grid, align_corners=False) + paper


def accuracy(model: Classifier, pictures: Pictures) -> float:
    """Return the part of `pictures` classified right."""
    with torch.no_grad():
        right = model(pictures.pixels).argmax(1) == pictures.labels
    return right.double().mean().item()


def save(model: Classifier, out: Path) -> None:
    """Write the network as a Hugging Face directory, with the linear layer beside it."""
    transformers.utils.logging.disable_progress_bar()
    model.backbone.save_pretrained(out)
    save_file(model.head.state_dict(), out / "head.safetensors")
    processor = {
        "image_processor_type": "DINOv3ViTImageProcessor",
        "size": {"height": IMAGE.size, "width": IMAGE.size},
        "image_mean": IMAGE.mean,
        "image_std": IMAGE.std,
        "resample": 2,
        "rescale_factor": 1 / 255,
    }
    _write_json(out / "preprocessor_config.json", processor)


def main(arguments: argparse.Namespace) -> None:
    """Train, measure on the held-out digits, save."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    recipe, training, held_out = Recipe(), load_split(False), load_split(True)
    model = train(training, recipe)
    reached = accuracy(model, held_out)
    say(f"  {reached:.2%} of {len(held_out.labels)} held-out digits are classified right")
    if reached < LEAST_ACCURACY:
        raise ConversionError(f"The digits model reaches only {reached:.2%}.")
    save(model, arguments.out)
    report = {
        "held_out_accuracy": round(reached, 6),
        "held_out_pictures": len(held_out.labels),
        "training_pictures": len(training.labels),
        "parameters": sum(weight.numel() for weight in model.backbone.parameters()),
        "recipe": asdict(recipe),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    _write_json(arguments.out / "training.json", report)


def _noise(count: int) -> Tensor:
    return torch.rand(count) * 2 - 1


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    program.run(main, program.parser(__doc__).parse_args())
