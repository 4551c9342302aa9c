"""The benchmark: our pipeline beside the plain ONNX Runtime recipe, and what each rewrite saves."""
