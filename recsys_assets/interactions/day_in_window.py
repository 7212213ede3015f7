"""A day beside its trailing window: the data, tables and plots of the increment report."""

import html
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys_assets import columns
from recsys_assets.drift.day_profile import Profile, decode
from recsys_assets.drift.day_scores import PREFIX
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

WINDOW_DAYS: Final = 28
"""Length of the trailing window, in days."""

_TOP: Final = 10
_LONG: Final = 10_000.0
_WIDE: Final = (9.0, 2.6)
_MARGINS: Final = {"left": 0.09, "right": 0.96, "top": 0.88, "bottom": 0.18}
"""Fixed shares of a wide figure: a layout engine draws everything twice, which is a third of a report's time."""
_SHARES: Final = {"new_users": "new users", "new_items": "new items", "repeated_pairs": "repeated pairs"}
_WORST_FIRST: Final = ("block", "warn", "ok")
_COLOURS: Final = {"ok": "tab:gray", "warn": "tab:orange", "block": "tab:red"}
_DAY_COLOUR, _WINDOW_COLOUR = "tab:blue", "tab:gray"


@dataclass(frozen=True, kw_only=True)
class ReportedDay:
    """One day, its trailing window, and the results of its audit."""

    day: date
    """The day."""
    raw: pl.DataFrame
    """Its raw events."""
    interactions: pl.DataFrame
    """Its cleaned events."""
    window: pl.DataFrame
    """The cleaned events of the landed days among the 28 before it."""
    catalogue: pl.DataFrame
    """ITEM_CATALOGUE's columns; empty where there is none."""
    account: RowAccount
    """The account of its raw rows; empty of a day that an earlier version cleaned."""
    results: list[CheckResult]
    """The audit's results for the day, worst first."""
    profiles: dict[date, Profile]
    """Stored profiles of the window's days and of the day, oldest first."""


def load_day(home: Home, day: date) -> ReportedDay:
    """Read the day and the 28 days before it: neither a later day nor the whole history.

    Raises:
        FileNotFoundError: the day has not landed.
    """
    raw = PartitionStore(root=home.raw, schema=RAW_INTERACTIONS.polars_schema())
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    before = [day - timedelta(days=back) for back in range(WINDOW_DAYS, 0, -1)]
    with open_ledger(home) as ledger:
        results = ledger.results(day=day)
        account = ledger.accounts(since=day).get(day, RowAccount())
        encoded = ledger.profiles(RAW_INTERACTIONS.name, since=before[0], before=day + timedelta(days=1))
    return ReportedDay(
        day=day,
        raw=raw.read(day),
        interactions=store.read(day),
        account=account,
        window=store.scan([other for other in before if store.path(other).is_file()]).collect(),
        catalogue=pl.read_parquet(home.catalogue) if home.catalogue.exists() else pl.DataFrame(),
        profiles={d: profile for d, stored in encoded.items() if (profile := decode(stored)) is not None},
        results=sorted(results, key=lambda r: (_WORST_FIRST.index(r.verdict), r.table, r.check)),
    )


def summary(data: ReportedDay) -> pl.DataFrame:
    """Return the day's figures beside the median day of the window.

    New users and items are those of the raw events that no earlier published raw day has, as the day's profile
    counted them: a few more than after cleaning, which drops all rows of some. Empty without a profile.
    """
    figures = {
        "rows": pl.len(),
        "wishes": (pl.col(columns.WEIGHT) > 0).sum(),
        "users": pl.col(columns.USER_ID).n_unique(),
        "items": pl.col(columns.ITEM_ID).n_unique(),
        "mean rating": pl.col(columns.RATING).mean(),
        "mean value": pl.col(columns.VALUE).mean(),
        "mean quantity": pl.col(columns.QUANTITY).mean(),
    }
    named = [figure.alias(name) for name, figure in figures.items()]
    of_day = data.interactions.select(named)
    of_window = data.window.group_by(pl.col(columns.TIMESTAMP).dt.date().alias("day")).agg(named)
    shares = data.profiles[data.day].shares if data.day in data.profiles else {}
    without_median = {
        "raw rows": data.raw.height,
        "new users (raw)": shares.get("new_users", (None, 0))[0],
        "new items (raw)": shares.get("new_items", (None, 0))[0],
    }
    rows = [(name, _number(of_day[name].item()), _number(of_window[name].median())) for name in figures]
    rows += [(name, _number(value), None) for name, value in without_median.items()]
    schema = {"figure": pl.String, "day": pl.Float64, "window median": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def top_items(data: ReportedDay) -> pl.DataFrame:
    """Return the day's most frequent items by name, with their share of the day and of the window."""
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


def left_out(data: ReportedDay) -> pl.DataFrame:
    """Return each reason for which raw rows are not among the interactions, with the rows and the first of them."""
    schema = {"reason": pl.String, "rows": pl.Int64, "meaning": pl.String, "example": pl.String}
    return pl.DataFrame(data.account.rows_by_reason(), schema=schema)


def checks(data: ReportedDay) -> pl.DataFrame:
    """Return every check of the day with its value or passed share, its thresholds and verdict, worst first."""
    return pl.DataFrame(
        [
            {
                "table": result.table,
                "check": result.check,
                "verdict": _verdict(result),
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


def _verdict(result: CheckResult) -> str:
    """Return the verdict, or that there was nothing to judge: no such column, or too little history."""
    nothing = result.value is None and result.passed_share is None
    return "not judged" if nothing and result.verdict == "ok" else result.verdict


def failing_rows(data: ReportedDay) -> dict[str, pl.DataFrame]:
    """Return check -> up to 20 of the rows that failed it, for each check that is not ok."""
    return {
        f"{result.table}: {result.check}": pl.DataFrame(result.sample, infer_schema_length=None)
        for result in data.results
        if result.sample and result.verdict != "ok"
    }


def as_html(frame: pl.DataFrame) -> str:
    """Render a table as HTML, with short numbers, empty cells for null, and text escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in frame.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in frame.iter_rows()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def rows_figure(data: ReportedDay) -> Figure:
    """Plot the rows of each day of the window and of the day itself."""
    figure, axes = _wide_figure("Rows by day", ylabel="rows")
    counts = data.window.group_by(pl.col(columns.TIMESTAMP).dt.date().alias("day")).len().sort("day")
    axes.bar(_dates(counts["day"].to_list()), counts["len"].to_list(), color=_WINDOW_COLOUR, label="window")
    axes.bar(_dates([data.day]), [data.interactions.height], color=_DAY_COLOUR, label=str(data.day))
    axes.legend()
    return figure


def hours_figure(data: ReportedDay) -> Figure:
    """Plot the share of rows by hour of the day, UTC."""
    figure, axes = _wide_figure("Rows by hour of the day (UTC)", xlabel="hour", ylabel="share of rows")
    for frame, label, colour in _window_and_day(data):
        hours = np.bincount(frame[columns.TIMESTAMP].dt.hour().to_numpy(), minlength=24)
        axes.step(np.arange(24), hours / max(hours.sum(), 1), where="mid", label=label, color=colour)
    axes.legend()
    return figure


def values_figure(data: ReportedDay) -> Figure:
    """Plot the distributions of ratings and values, where the source has them."""
    figure = Figure(figsize=_WIDE)
    panels = figure.subplots(1, 2, gridspec_kw=_MARGINS)
    for axes, name in zip(panels, (columns.RATING, columns.VALUE), strict=True):
        axes.set(title=name, ylabel="density")
        both = [(frame[name].drop_nulls(), label, colour) for frame, label, colour in _window_and_day(data)]
        values = pl.concat([numbers for numbers, _, _ in both])
        if values.is_empty():
            axes.text(0.5, 0.5, f"the source has no {name}", ha="center", transform=axes.transAxes)
            continue
        edges = np.linspace(0.0, float(values.quantile(0.99) or 1.0), 31)
        for numbers, label, colour in both:
            inside = numbers.filter(numbers.is_between(0, edges[-1]))
            if len(inside):  # else there is no density to plot
                axes.hist(inside, bins=edges, density=True, histtype="step", label=label, color=colour)
        axes.legend()
    return figure


def newcomers_figure(profiles: dict[date, Profile]) -> Figure:
    """Plot the shares of new users, new items and repeated pairs by day."""
    figure, axes = _wide_figure("New users, new items and repeated pairs", ylabel="share")
    for name, label in _SHARES.items():
        pairs = [profile.shares.get(name, (0, 0)) for profile in profiles.values()]
        shares = [k / n if n else np.nan for k, n in pairs]
        axes.plot(_dates(list(profiles)), shares, marker=".", label=label)
    axes.legend()
    return figure


def drift_figure(results: list[CheckResult]) -> Figure:
    """Plot the score of each drift check, with the scores from which the day warns and may be rejected."""
    scored = sorted((r for r in results if r.warn_above is not None and r.value is not None), key=_score)
    figure = Figure(figsize=(9.0, 1.0 + 0.2 * max(len(scored), 4)), layout="constrained")
    axes = figure.subplots()
    axes.set(title="Drift scores", xlabel="score (about standard normal on an ordinary day)")
    if not scored:
        axes.text(0.5, 0.5, "too little history to judge drift", ha="center", transform=axes.transAxes)
        return figure
    names = [r.check.removeprefix(PREFIX) for r in scored]
    axes.barh(names, [_score(r) for r in scored], color=[_COLOURS[r.verdict] for r in scored])
    for limit, label, colour in (
        (scored[0].warn_above, "warns", _COLOURS["warn"]),
        (scored[0].block_above, "may be rejected", _COLOURS["block"]),
    ):
        if limit is not None:
            axes.axvline(limit, color=colour, linestyle="--", label=f"{label} from {limit:.1f}")
    axes.legend(loc="lower right")
    return figure


def _wide_figure(title: str, *, ylabel: str, xlabel: str = "") -> tuple[Figure, Axes]:
    figure = Figure(figsize=_WIDE)
    axes = figure.subplots(gridspec_kw=_MARGINS)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def _window_and_day(data: ReportedDay) -> list[tuple[pl.DataFrame, str, str]]:
    """Return rows, label and colour of the window and of the day."""
    return [
        (data.window, "window", _WINDOW_COLOUR),
        (data.interactions, str(data.day), _DAY_COLOUR),
    ]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < _LONG else f"{value:,.0f}"
    return "" if value is None else str(value)


def _bounds(low: float | None, high: float | None) -> str:
    below = "" if low is None else f"< {low:g}"
    above = "" if high is None else f"> {high:g}"
    return f"{below} or {above}" if below and above else below or above


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _dates(days: list[date]) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    return np.array(days, dtype="datetime64[D]")


def _score(result: CheckResult) -> float:
    return result.value or 0.0
