"""Comparing a build with float32: features, gate, labels, layer by layer."""
