"""Many builds at once: a grid of requests, on this machine's cores or on a cluster of Dask."""
