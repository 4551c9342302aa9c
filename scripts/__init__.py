"""From a PyTorch DINOv3 checkpoint to a Hexagon context binary."""
