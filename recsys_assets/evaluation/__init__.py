"""Splits, rankings, metrics and baselines: how good a model is on days that it has not seen."""
