"""Weights as people have them, synthetic weights, and the graph traced and exported from them."""
