"""From a PyTorch DINOv3 checkpoint to a Hexagon context binary."""

# As pyproject.toml has it, which is not in the image.
__version__ = "0.1.0"
