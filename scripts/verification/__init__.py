"""Holding what was built against float32: features, gate, labels, layer by layer."""
