"""Diffusion: learn to take noise away, then make data by taking it away from pure noise, step by step."""
