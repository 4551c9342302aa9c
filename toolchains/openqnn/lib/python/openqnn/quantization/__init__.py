"""Quantisation by the plain recipe: observed ranges, encodings, Q and DQ nodes."""
