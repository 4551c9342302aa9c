"""Rewrites of a float32 network into forms that the HTP is fast at: one idea a file."""
