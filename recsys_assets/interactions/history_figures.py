"""Plots of a day's profile against the profiles before it: what drift was judged by, and how far from alarming."""

from datetime import date
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.profile import Profile

_WIDE: Final = (9.0, 2.6)
_SHARES: Final = {"new_users": "new users", "new_items": "new items", "repeated_pairs": "repeats"}


def newcomers_figure(profiles: dict[date, Profile]) -> Figure:
    """Share of new users, new items and repeated pairs by day."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes = figure.subplots()
    days = np.array(list(profiles), dtype="datetime64[D]")
    for name, label in _SHARES.items():
        pairs = [profile.shares.get(name, (0, 0)) for profile in profiles.values()]
        axes.plot(days, [k / n if n else np.nan for k, n in pairs], marker=".", label=label)
    axes.set(title="New and known", ylabel="share")
    axes.legend()
    return figure


def drift_figure(results: list[CheckResult]) -> Figure:
    """Score of each drift check with the scores from which the day warns and may block."""
    scored = sorted((r for r in results if r.warn_above is not None and r.value is not None), key=_score)
    figure = Figure(figsize=(9.0, 1.0 + 0.2 * max(len(scored), 4)), layout="constrained")
    axes = figure.subplots()
    axes.set(title="Drift scores", xlabel="score (about standard normal on an ordinary day)")
    if not scored:
        axes.text(0.5, 0.5, "too little history to judge drift", ha="center", transform=axes.transAxes)
        return figure
    colours = {"ok": "tab:gray", "warn": "tab:orange", "block": "tab:red"}
    axes.barh(
        [r.check.removeprefix("drift_") for r in scored],
        [_score(r) for r in scored],
        color=[colours[r.verdict] for r in scored],
    )
    for limit, label, colour in (
        (scored[0].warn_above, "warns", "tab:orange"),
        (scored[0].block_above, "may block", "tab:red"),
    ):
        if limit is not None:
            axes.axvline(limit, color=colour, linestyle="--", label=f"{label} from {limit:.1f}")
    axes.legend(loc="lower right")
    return figure


def _score(result: CheckResult) -> float:
    return result.value or 0.0
