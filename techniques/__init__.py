"""Knowledge distillation, diffusion models and contrastive learning, written against tinygrad_lite."""
