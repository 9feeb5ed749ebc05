"""Contrastive learning: two views of one sample attract, views of different samples repel."""
