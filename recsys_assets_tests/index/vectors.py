"""Random vectors that the tests of this folder share."""

import numpy as np


def skewed(count, width=16, seed=0):
    """Return vectors like a factorisation's: a few long ones, many short ones."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, width)) * rng.pareto(1.5, size=(count, 1))).astype(np.float32)


def even(count, width=8, seed=0):
    """Return vectors of equal length, where no bound helps."""
    rows = np.random.default_rng(seed).normal(size=(count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
