"""Every differentiable operation: a file for each family, forward beside backward."""
