"""The sparse product in memory: B in the cells of tiles, rows of A as inputs."""
