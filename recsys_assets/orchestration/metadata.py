"""Plain values as Dagster's: contracts as column schemas, rows as tables, plots as metadata."""

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import numpy as np
import polars as pl

from recsys_assets.quality.contract import Contract

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWNER: Final = "team:recommendations"
"""The owner of every asset."""


def column_schema(contract: Contract) -> dg.TableSchema:
    """Return the contract's columns as the Dagster UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=name,
                type=str(column.dtype),
                description=column.description + (f" Unit: {column.unit}." if column.unit else ""),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable,
                    unique=contract.key == (name,),
                    other=[
                        f"{sign} {bound:g}"
                        for sign, bound in ((">=", column.ge), ("<=", column.le))
                        if bound is not None
                    ],
                ),
            )
            for name, column in contract.columns.items()
        ]
    )


def figure_markdown(figure: "Figure") -> dg.MarkdownMetadataValue:
    """Return a matplotlib figure as an image inside metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{encoded})")


def rows_table(rows: Sequence[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return rows as a table in metadata; a value that is neither a number nor text becomes its text."""
    plain = [
        {
            key: value if isinstance(value, (int, float, str, bool)) else str(value)
            for key, value in row.items()
        }
        for row in rows
    ]
    schema = None if plain else dg.TableSchema(columns=[])  # Dagster infers a schema from rows only
    return dg.MetadataValue.table([dg.TableRecord(row) for row in plain], schema=schema)


def rows_by_day(rows: Mapping[date, int]) -> dict[str, dg.MarkdownMetadataValue]:
    """Return the metadata `rows_by_day`, a plot of the rows of each day; none of a single day, whose plot is a dot."""
    return {"rows_by_day": figure_markdown(_rows_by_day_figure(rows))} if len(rows) > 1 else {}


def _rows_by_day_figure(rows: Mapping[date, int]) -> "Figure":
    """Plot the rows of each day, in the order of time."""
    days = sorted(rows)
    figure = _figure((8, 2.4))
    axes = figure.subplots()
    axes.step(np.array(days, dtype="datetime64[D]"), [rows[day] for day in days], where="mid", linewidth=0.8)
    axes.set(ylabel="rows", ylim=(0, None), title="Rows a day")
    axes.grid(alpha=0.3)
    figure.autofmt_xdate()
    return figure


def loss_figure(losses: Sequence[float]) -> "Figure":
    """Plot the objective divided by the number of entries, after each epoch."""
    figure = _figure((6, 3))
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, marker="o")
    axes.set(xlabel="epoch", ylabel="objective per entry", title="iALS objective")
    axes.grid(alpha=0.3)
    return figure


def metric_figure(evaluation: pl.DataFrame, *, metric: str, k: int) -> "Figure":
    """Plot one metric of every model at k, with its interval where there is one."""
    rows = evaluation.filter(pl.col("metric") == metric, pl.col("k") == k).sort("value")
    figure = _figure((6, 0.6 + 0.4 * max(rows.height, 1)))
    axes = figure.subplots()
    values = rows["value"]
    axes.barh(
        rows["model"].to_list(),
        values.to_list(),
        xerr=[(values - rows["low"]).to_list(), (rows["high"] - values).to_list()],
    )
    axes.set(xlabel=f"{metric}@{k}, held-out days", title="Ours against the baselines")
    return figure


def rate_figure(rates: Sequence[tuple[date, float | None, float, float | None]]) -> "Figure":
    """Plot a rate by day with its interval.

    Args:
        rates: day, low end, value and high end of each; the ends are None where there is no interval.
    """
    figure = _figure((8, 2.8))
    axes = figure.subplots()
    days = np.array([day for day, *_ in rates], dtype="datetime64[D]")
    values = np.array([value for _, _, value, _ in rates])
    low = np.array([value if low is None else low for _, low, value, _ in rates])
    high = np.array([value if high is None else high for _, _, value, high in rates])
    axes.fill_between(days, low, high, alpha=0.2)
    axes.plot(days, values, marker="o", markersize=3, linewidth=0.8)
    axes.set(ylabel="share", ylim=(0, None), title="Answers clicked, of those shown")
    axes.grid(alpha=0.3)
    figure.autofmt_xdate()
    return figure


def curve_figure(curve: Sequence[tuple[int, float]]) -> "Figure":
    """Plot the share that was clicked at each position, from 1."""
    figure = _figure((6, 2.8))
    axes = figure.subplots()
    axes.bar([place for place, _ in curve], [value for _, value in curve])
    axes.set(xlabel="position", ylabel="share", title="Items clicked, of those shown there; newest day")
    axes.grid(alpha=0.3, axis="y")
    return figure


def _figure(size: tuple[float, float]) -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415  half a second of import, only where something is plotted

    return Figure(figsize=size)
