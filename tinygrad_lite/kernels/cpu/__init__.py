"""Kernels in array expressions."""
