"""From a model's .cpp and .bin to a shared library for the host or a board."""
