"""Layers, initializers and functions."""

from tinygrad_lite.nn import functional
