"""What is shipped to a board: its files, its manifest, SBOM, provenance and signature."""
