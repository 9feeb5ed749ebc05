"""Array-only code for what is long, slow or missing in NumPy; no tensors here. `cpu` is for NumPy alone."""
