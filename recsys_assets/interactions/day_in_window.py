"""A day beside its trailing window: the tables and plots that the increment report shows."""

import html
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recsys_assets import columns
from recsys_assets.drift.day_profile import Profile, decode
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

WINDOW_DAYS: Final = 28
"""How far back the trailing window goes."""

_TOP: Final = 10
_LONG: Final = 10_000.0
_WIDE: Final = (9.0, 2.6)


@dataclass(frozen=True, kw_only=True)
class DayInWindow:
    """One day, its window, and what the audit said of it."""

    day: date
    """The day reported on."""
    raw: pl.DataFrame
    """Its raw events."""
    interactions: pl.DataFrame
    """Its cleaned events."""
    window: pl.DataFrame
    """The cleaned events of the up to 28 landed days before it."""
    known_users: pl.Series
    """Users of every landed day before it."""
    known_items: pl.Series
    """Items of every landed day before it."""
    catalogue: pl.DataFrame
    """ITEM_CATALOGUE's columns; empty where there is none."""
    results: list[CheckResult]
    """The audit's results for the day, worst first."""
    profiles: dict[date, Profile]
    """Kept profiles of the window's days and of the day, oldest first."""


def load_day(home: Home, day: date) -> DayInWindow:
    """Read the day and what came before it; nothing later is looked at.

    Raises:
        FileNotFoundError: the day has not landed.
    """
    raw = PartitionStore(root=home.raw, schema=RAW_INTERACTIONS.polars_schema())
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    before = [other for other in store.days() if other < day]
    window = [other for other in before if other >= day - timedelta(days=WINDOW_DAYS)]
    earlier = store.scan(before)
    with Ledger(home.quality_db) as ledger:
        results = ledger.results(day=day)
        kept = ledger.profiles(
            RAW_INTERACTIONS.name, since=day - timedelta(days=WINDOW_DAYS), before=day + timedelta(days=1)
        )
    order = {"block": 0, "warn": 1, "ok": 2}
    return DayInWindow(
        day=day,
        raw=raw.read(day),
        interactions=store.read(day),
        window=store.scan(window).collect(),
        known_users=earlier.select(columns.USER_ID).unique().collect()[columns.USER_ID],
        known_items=earlier.select(columns.ITEM_ID).unique().collect()[columns.ITEM_ID],
        catalogue=pl.read_parquet(home.catalogue) if home.catalogue.exists() else pl.DataFrame(),
        profiles={d: profile for d, text in kept.items() if (profile := decode(text)) is not None},
        results=sorted(results, key=lambda result: (order[result.verdict], result.table, result.check)),
    )


def summary(data: DayInWindow) -> pl.DataFrame:
    """The day's figures beside the window's median day."""
    by_day = data.window.group_by(pl.col(columns.TIMESTAMP).dt.date().alias("day"))
    figures = {
        "rows": (data.interactions.height, pl.len()),
        "users": (data.interactions[columns.USER_ID].n_unique(), pl.col(columns.USER_ID).n_unique()),
        "items": (data.interactions[columns.ITEM_ID].n_unique(), pl.col(columns.ITEM_ID).n_unique()),
        "mean rating": (data.interactions[columns.RATING].mean(), pl.col(columns.RATING).mean()),
        "mean value": (data.interactions[columns.VALUE].mean(), pl.col(columns.VALUE).mean()),
        "mean quantity": (data.interactions[columns.QUANTITY].mean(), pl.col(columns.QUANTITY).mean()),
    }
    rows = [
        {
            "figure": name,
            "day": _number(value),
            "window median": _number(by_day.agg(each.alias(name))[name].median()),
        }
        for name, (value, each) in figures.items()
    ]
    users, items = data.interactions[columns.USER_ID].unique(), data.interactions[columns.ITEM_ID].unique()
    alone = {
        "raw rows": data.raw.height,
        "new users": (~users.is_in(data.known_users.implode())).sum(),
        "new items": (~items.is_in(data.known_items.implode())).sum(),
    }
    rows += [{"figure": name, "day": _number(value), "window median": None} for name, value in alone.items()]
    return pl.DataFrame(rows, schema={"figure": pl.String, "day": pl.Float64, "window median": pl.Float64})


def rows_figure(data: DayInWindow) -> Figure:
    """Rows of each day of the window and of the day itself."""
    counts = data.window.group_by(pl.col(columns.TIMESTAMP).dt.date().alias("day")).len().sort("day")
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes = figure.subplots()
    axes.bar(_dates(counts["day"].to_list()), counts["len"].to_list(), color="tab:gray", label="window")
    axes.bar(_dates([data.day]), [data.interactions.height], color="tab:blue", label=str(data.day))
    axes.set(title="Rows a day", ylabel="rows")
    axes.legend()
    return figure


def hours_figure(data: DayInWindow) -> Figure:
    """Share of rows by hour of the day, UTC."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes = figure.subplots()
    both = ((data.window, "window", "tab:gray"), (data.interactions, str(data.day), "tab:blue"))
    for frame, label, colour in both:
        hours = np.bincount(frame[columns.TIMESTAMP].dt.hour().to_numpy(), minlength=24)
        axes.step(np.arange(24), hours / max(hours.sum(), 1), where="mid", label=label, color=colour)
    axes.set(title="Hour of the day (UTC)", xlabel="hour", ylabel="share of rows")
    axes.legend()
    return figure


def values_figure(data: DayInWindow) -> Figure:
    """Distributions of rating and value, where the source has them."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, (columns.RATING, columns.VALUE), strict=True):
        day, window = data.interactions[name].drop_nulls(), data.window[name].drop_nulls()
        axes.set_title(name)
        if day.is_empty() and window.is_empty():
            axes.text(0.5, 0.5, "the source has none", ha="center")
            continue
        high = pl.concat([day, window]).quantile(0.99) or 1.0
        edges = np.linspace(0.0, float(high), 31)
        for values, label, colour in ((window, "window", "tab:gray"), (day, str(data.day), "tab:blue")):
            axes.hist(values.to_numpy(), bins=edges, density=True, histtype="step", label=label, color=colour)
        axes.legend()
    return figure


def top_items(data: DayInWindow) -> pl.DataFrame:
    """The day's most frequent items by name, with their share of the day and of the window."""
    rows = data.interactions.group_by(columns.ITEM_ID).len("rows")
    counts = rows.sort("rows", columns.ITEM_ID, descending=[True, False])
    before = data.window.group_by(columns.ITEM_ID).len("before")
    named = counts.head(_TOP).join(before, on=columns.ITEM_ID, how="left", maintain_order="left")
    if columns.TITLE in data.catalogue.columns:
        titles = data.catalogue.select(columns.ITEM_ID, columns.TITLE, columns.CATEGORY)
        named = named.join(titles, on=columns.ITEM_ID, how="left", maintain_order="left")
    return named.with_columns(
        share_of_day=pl.col("rows") / max(data.interactions.height, 1),
        share_of_window=pl.col("before").fill_null(0) / max(data.window.height, 1),
    ).drop("before")


def checks(data: DayInWindow) -> pl.DataFrame:
    """Every check of the day with its value or passed share, its thresholds and its verdict, worst first."""
    return pl.DataFrame(
        [
            {
                "table": result.table,
                "check": result.check,
                "verdict": result.verdict,
                "passed share": result.passed_share,
                "failing rows": result.failing_rows,
                "value": result.value,
                "warns": _bounds(result.warn_below, result.warn_above),
                "blocks": _bounds(result.block_below, result.block_above),
                "detail": result.detail,
            }
            for result in data.results
        ],
        infer_schema_length=None,
    )


def failing_rows(data: DayInWindow) -> dict[str, pl.DataFrame]:
    """Check -> up to 20 of the rows that failed it, for each check that is not ok."""
    return {
        f"{result.table}: {result.check}": pl.DataFrame(result.sample, infer_schema_length=None)
        for result in data.results
        if result.sample and result.verdict != "ok"
    }


def as_html(frame: pl.DataFrame) -> str:
    """A table for people: numbers short, nothing for null, text as it is."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in frame.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in frame.iter_rows()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < _LONG else f"{value:,.0f}"
    return "" if value is None else str(value)


def _bounds(low: float | None, high: float | None) -> str:
    below = [] if low is None else [f"< {low:g}"]
    return " or ".join([*below, *([] if high is None else [f"> {high:g}"])])


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _dates(days: list[date]) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    return np.array(days, dtype="datetime64[D]")


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
