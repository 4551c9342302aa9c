"""Everything that speaks to Qualcomm's tools: SDK root, commands, simulator, estimate, ELF gate."""
