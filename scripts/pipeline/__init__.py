"""Host side: the plan of stages, the cache, the container, the image, the devices."""
