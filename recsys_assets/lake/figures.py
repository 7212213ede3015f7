"""Plots of landed days, for the assets' metadata."""

from collections.abc import Mapping
from datetime import date

import numpy as np
from matplotlib.figure import Figure


def rows_by_day_figure(rows: Mapping[date, int]) -> Figure:
    """Rows of each day, in the order of time."""
    days = sorted(rows)
    figure = Figure(figsize=(8, 2.4))
    axes = figure.subplots()
    axes.step(np.array(days, dtype="datetime64[D]"), [rows[day] for day in days], where="mid", linewidth=0.8)
    axes.set(ylabel="rows", ylim=(0, None), title="Rows a day")
    axes.grid(alpha=0.3)
    figure.autofmt_xdate()
    return figure
