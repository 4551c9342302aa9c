"""Pictures: found, read, preprocessed; the built-in sets; what a network takes."""
