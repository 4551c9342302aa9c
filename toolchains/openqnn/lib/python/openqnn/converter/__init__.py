"""From an ONNX model to a QNN model's source, weights and description."""
