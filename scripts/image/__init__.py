"""The build image: locked, made, labelled, compared."""
