"""What NumPy does faster than plain array expressions: twins of modules in `kernels`, under their names."""
