"""Container side: one program a stage, named by its verb. What they use lives in the rooms."""
