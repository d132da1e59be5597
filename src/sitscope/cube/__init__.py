"""Which images, which fields, which pixels? Rasters and vectors on one side, numpy arrays on the other; no torch."""
