"""`releases diff A B`: everything that differs between two releases, for a terminal or as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from recsys_assets.commands.shared import example, home_option, json_option
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.features.feature_changes import TableChanges
    from recsys_assets.release.release_diff import Measured, MetricDifference, ReleaseDiff, ReleaseSide
    from recsys_assets.release.release_store import ReleaseStore
    from recsys_assets.release.rule_changes import RuleChange
    from recsys_assets.rules.testing.golden import GoldenItem, GoldenResult
    from recsys_assets.storage.field_changes import FieldChange

_COLUMNS_SHOWN: Final = 6
"""Features of a table that are listed; JSON has all."""
_WHOLE: Final = 1000
"""Numbers from here on are shown without decimals."""
_NAMES_SHOWN: Final = 3
"""Items of one user's example that are named."""


@click.command(
    epilog=example(
        "recsys releases diff previous current",
        "recsys releases diff 20171230-5e1fe8a1b0 20171231-0f3a5bc2d1 --json",
    )
)
@home_option
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--users",
    default=500,
    show_default=True,
    type=click.IntRange(min=1),
    help="Users whose lists are compared, drawn at random.",
)
@json_option
def diff(home: Path | None, before: str, after: str, users: int, as_json: bool) -> None:
    """Show what differs between the releases A and B.

    Each is an id, `current`, or `previous`, the one that a rollback goes to. Metrics have 95 % intervals.
    """
    import msgspec  # noqa: PLC0415

    from recsys_assets.release.release_diff import diff_releases  # noqa: PLC0415
    from recsys_assets.release.release_store import ReleaseStore  # noqa: PLC0415
    from recsys_assets.rules.testing.golden import golden_of_releases  # noqa: PLC0415

    place = Home.locate(home)
    store = ReleaseStore(place.releases)
    ids = _id(store, before), _id(store, after)
    found = diff_releases(store, *ids, users=users)
    golden = golden_of_releases(place, *(store.path(name) for name in ids))
    if as_json:
        click.echo(msgspec.json.encode({"difference": found, "golden": golden}).decode())
        return
    for line in (*diff_lines(found), *_part("Golden users", _golden(golden), none="none are named")):
        click.echo(line)


def _id(store: "ReleaseStore", given: str) -> str:
    """Return an id; a word for which there is no release stays as it is, and is reported like an unknown id."""
    words = {"current": store.served_id, "previous": store.previous_id}
    return (words[given]() if given in words else None) or given


def diff_lines(diff: "ReleaseDiff") -> Iterator[str]:
    """Yield the lines of a difference for a terminal; a part without any is one line."""
    yield f"A  {_side(diff.before)}"
    yield f"B  {_side(diff.after)}"
    yield from _part("Metrics on held-out days", _metrics(diff))
    yield from _part("Lists", _lists(diff))
    yield from _part("Model", _fields(diff.model))
    yield from _part("Settings", _fields(diff.settings))
    yield from _part("Rules", map(_rule, diff.rules))
    yield from _part("Features", (line for table in diff.features for line in _table(table)))
    named = {"added": diff.days.added, "rebuilt": diff.days.rebuilt, "removed": diff.days.removed}
    yield from _part("Days", (f"{name}: {spans(days)}" for name, days in named.items() if days))


def _part(title: str, lines: Iterable[str], *, none: str = "nothing changed") -> Iterator[str]:
    found = list(lines)
    yield ""
    yield title if found else f"{title}: {none}"
    yield from (f"  {line}" for line in found)


def _side(side: "ReleaseSide") -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in side.counts.items())
    model = f"  {side.model}" if side.model else ""
    return f"{side.release}  {side.first_day} to {side.through_day}{model}  {counts}"


def _metrics(diff: "ReleaseDiff") -> Iterator[str]:
    width = max((len(change.metric) for change in diff.metrics), default=0)
    for change in diff.metrics:
        yield f"{change.metric:{width}}  {_metric(change)}"
    best = [
        f"{side.best_baseline} {side.best_baseline_ndcg:.4f}" if side.best_baseline_ndcg is not None else "–"
        for side in (diff.before, diff.after)
    ]
    if best != ["–", "–"]:
        yield f"Best baseline by ndcg@10: {best[0]} → {best[1]}"
    if diff.paired_users:
        yield f"B − A is over the same {diff.paired_users:,} users."
    if diff.metrics_note:
        yield diff.metrics_note


def _metric(change: "MetricDifference") -> str:
    line = f"{_measured(change.before)} → {_measured(change.after)}"
    if change.difference is None:
        return line
    found = change.difference
    return f"{line}   B − A {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _measured(value: "Measured | None") -> str:
    if value is None:
        return "–"
    interval = "" if value.low is None else f" [{value.low:.4f}, {value.high:.4f}]"
    return f"{value.value:.4f}{interval}"


def _lists(diff: "ReleaseDiff") -> Iterator[str]:
    lists = diff.lists
    yield f"{lists.in_words()}."
    if lists.only_before or lists.only_after:
        yield f"Users of A only: {lists.only_before:,}; of B only: {lists.only_after:,}."
    for one in lists.examples:
        yield f"user {one.user_id}"
        yield f"  − {_names(one.gone)}"
        yield f"  + {_names(one.new)}"


def _golden(golden: "Iterable[GoldenResult]") -> Iterator[str]:
    for one in golden:
        overlap = "" if one.overlap is None else f", {one.overlap:.0%} in common"
        verdict = "not as expected" if one.failures else "as expected"
        yield f"user {one.user}, {one.scenario}: {verdict}{overlap}"
        yield from (f"  ! {failure}" for failure in one.failures)
        yield f"  A {_listed(one.before or [])}"
        yield f"  B {_listed(one.after)}"


def _listed(items: "Sequence[GoldenItem]") -> str:
    return " · ".join(item.title or item.item_id for item in items) or "no list"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return " · ".join(names[:_NAMES_SHOWN]) + (f" · {more} more" if more > 0 else "")


def _fields(fields: "Iterable[FieldChange]") -> Iterator[str]:
    return (f"{field.name}  {_value(field.before)} → {_value(field.after)}" for field in fields)


def _value(value: Any) -> str:
    return "–" if value is None else str(value)


def _rule(change: "RuleChange") -> str:
    place = " ".join(part for part in (change.scenario or "the file", change.section) if part)
    name = f' "{change.rule}"' if change.rule else ""
    edits = f": {'; '.join(_fields(change.fields))}" if change.fields else ""
    return f"{place}{name} {change.change}{edits}"


def _table(table: "TableChanges") -> Iterator[str]:
    names = {"added": table.added, "removed": table.removed}
    changes = [f"{name}: {', '.join(columns)}" for name, columns in names.items() if columns]
    changes += [f"redefined: {line}" for line in _fields(table.redefined)]
    columns = table.columns[:_COLUMNS_SHOWN]
    for column in columns:
        means = "" if column.before is None or column.after is None else _means(column.before, column.after)
        changes.append(f"{column.name}: {column.share:.1%} of {table.compared:,} have another value{means}")
    if len(table.columns) > len(columns):
        more = len(table.columns) - len(columns)
        changes.append(f"{more} more feature{'' if more == 1 else 's'} with other values")
    if table.rows_added or table.rows_gone:
        rows = f"rows: {table.rows_before:,} → {table.rows_after:,}"
        changes.insert(0, f"{rows} ({table.rows_added:,} new, {table.rows_gone:,} gone)")
    return (f"{table.entity}s: {change}" for change in changes)


def _means(before: float, after: float) -> str:
    return f", mean {_number(before)} → {_number(after)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.4g}"


def spans(days: Sequence[date]) -> str:
    """Return ascending days in words, those in a row as one span, and their number."""
    rows: list[list[date]] = []
    for day in days:
        if rows and day - rows[-1][-1] == timedelta(days=1):
            rows[-1].append(day)
        else:
            rows.append([day])
    words = [str(row[0]) if len(row) == 1 else f"{row[0]} to {row[-1]}" for row in rows]
    return f"{', '.join(words)} ({len(days):,})"
