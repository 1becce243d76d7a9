"""Where the points of a sweep are computed: processes, Dask, Ray, or a SLURM array."""
