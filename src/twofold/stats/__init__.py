"""Running statistics and vectorised kernels; no I/O."""
