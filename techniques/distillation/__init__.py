"""Knowledge distillation: a small student learns from a large teacher's outputs, and from labels."""
