"""An ONNX network whose weights stay on disk: read, written, cut into pieces, run."""
