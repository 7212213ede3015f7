"""Experiments: arms, who gets which, and whether one is better by what people did."""
