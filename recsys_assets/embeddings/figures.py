"""Plots of a training and of an evaluation, for the asset's metadata."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure


def loss_figure(losses: Sequence[float]) -> Figure:
    """The objective divided by the number of entries, after each epoch."""
    figure = Figure(figsize=(6, 3))
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, marker="o")
    axes.set(xlabel="epoch", ylabel="objective per entry", title="iALS objective")
    axes.grid(alpha=0.3)
    return figure


def metric_figure(evaluation: pl.DataFrame, *, metric: str, k: int) -> Figure:
    """One metric of every model at k, with its interval where there is one."""
    rows = evaluation.filter(pl.col("metric") == metric, pl.col("k") == k).sort("value")
    figure = Figure(figsize=(6, 0.6 + 0.4 * max(rows.height, 1)))
    axes = figure.subplots()
    values = rows["value"]
    axes.barh(
        rows["model"].to_list(),
        values.to_list(),
        xerr=[(values - rows["low"]).to_list(), (rows["high"] - values).to_list()],
    )
    axes.set(xlabel=f"{metric}@{k}, held-out days", title="Ours against the baselines")
    return figure
