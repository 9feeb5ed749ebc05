"""Optimizers, schedules of learning rates, clipping of gradients, averages of weights."""

from tinygrad_lite.optim.adam import Adam, AdamW
from tinygrad_lite.optim.average import ExponentialMovingAverage
from tinygrad_lite.optim.clip import clip_grad_norm_
from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.schedule import CosineAnnealingLR, LambdaLR, LRScheduler, WarmupCosine
from tinygrad_lite.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialMovingAverage",
    "LRScheduler",
    "LambdaLR",
    "Optimizer",
    "WarmupCosine",
    "clip_grad_norm_",
]
