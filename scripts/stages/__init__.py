"""Container side: one module a stage, named by its verb; each a program of its own."""
