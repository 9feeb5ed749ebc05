"""Array-only code for what plain array expressions make slow or NumPy lacks; no tensors in here."""
