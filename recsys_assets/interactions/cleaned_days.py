"""The audit of cleaned days, and their publication: each is published with its row account, or put in quarantine."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.interactions.cleaning import Cleaned, clean_days
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.returns import TakenOff
from recsys_assets.interactions.row_rule import FAULTS, RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.quality.audit_and_publish import DayPublisher, DayStore, PublishOutcome
from recsys_assets.quality.check_ledger import CheckLedger
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.quality.run_expectations import (
    contract_expectations,
    evaluate_days,
    json_rows,
    schema_result,
)

_KEPT: Final = "kept"

INTERACTIONS_EXPECTATIONS: list[Expectation] = contract_expectations(INTERACTIONS)
"""Expectations of every row of a cleaned day."""

_MOSTLY_KEPT: Final = 0.8
CLEANING_EXPECTATIONS: list[Expectation] = [
    expect(_KEPT).that(pl.col(_KEPT), name="by_cleaning", mostly=_MOSTLY_KEPT, block_below=0.4, from_rows=50)
]
"""Expectations of a frame with one row a raw row: False where cleaning dropped it for a fault."""

_LISTED: Final = "listed"
_MOSTLY_LISTED: Final = 0.99
"""Share of a day's events whose kind should be listed: a stray row of tests is no news."""


def kind_expectations(rule: WishRule) -> list[Expectation]:
    """Return the expectations of a day's kinds; they only warn, since an unlisted kind may well be a wish."""
    listed = pl.col(columns.KIND).is_in(list(rule.kinds))
    return [expect(columns.KIND).that(listed, name=_LISTED, mostly=_MOSTLY_LISTED)]


INTERACTIONS_CHECKS: tuple[str, ...] = (
    "schema",
    *(e.name for e in (*INTERACTIONS_EXPECTATIONS, *kind_expectations(WishRule()), *CLEANING_EXPECTATIONS)),
)
"""Names of the checks of a cleaned day."""


def audit_days(cleaned: Sequence[tuple[date, Cleaned]], *, rule: WishRule) -> list[list[CheckResult]]:
    """Return the results of INTERACTIONS_CHECKS on each cleaned day, in their order; `rule` lists the kinds."""
    name, schema = INTERACTIONS.name, INTERACTIONS.polars_schema()
    frames = [(day, of_day.frame) for day, of_day in cleaned]
    kept = [(day, _kept_rows(of_day)) for day, of_day in cleaned]
    expected = [*INTERACTIONS_EXPECTATIONS, *kind_expectations(rule)]
    return [
        [schema_result(frame, schema, table=name, day=day), *of_rows, *_with_rows(of_cleaning, of_day)]
        for (day, frame), (_, of_day), of_rows, of_cleaning in zip(
            frames,
            cleaned,
            evaluate_days(expected, frames, table=name),
            evaluate_days(CLEANING_EXPECTATIONS, kept, table=name),
            strict=True,
        )
    ]


def _kept_rows(cleaned: Cleaned) -> pl.DataFrame:
    """Return one row a raw row: False as often as cleaning dropped one for a fault."""
    return pl.DataFrame({_KEPT: np.arange(cleaned.account.rows) >= _faults(cleaned.account)})


def _faults(account: RowAccount) -> int:
    return sum(account.reasons[reason].rows for reason in FAULTS if reason in account.reasons)


def _with_rows(results: Sequence[CheckResult], cleaned: Cleaned) -> list[CheckResult]:
    """Show the raw rows that cleaning dropped, and why, where a result says that they are too many."""
    return [
        result
        if result.verdict == "ok"
        else replace(
            result, detail=_in_words(cleaned.account) or result.detail, sample=json_rows(cleaned.faulty())
        )
        for result in results
    ]


def _in_words(account: RowAccount) -> str:
    faults = RowAccount(reasons={name: account.reasons[name] for name in FAULTS if name in account.reasons})
    said = "; ".join(faults.in_words(of=account.rows))
    return f"{said}; at least {_MOSTLY_KEPT:.0%} should be kept"


class RawDays(Protocol):
    """The part of the raw store that cleaning needs."""

    def read_chunks(
        self, days: Iterable[date], *, every_column: bool
    ) -> Iterator[list[tuple[date, pl.DataFrame]]]:
        """Yield the days that have a file, with their rows, in chunks that fit in memory."""


@dataclass(frozen=True, kw_only=True)
class AuditedDay:
    """A cleaned day and the results of its audit."""

    day: date
    """The day."""
    frame: pl.DataFrame
    """The INTERACTIONS contract's columns."""
    account: RowAccount
    """Every raw row."""
    wishes: int
    """Rows with a weight above 0."""
    results: list[CheckResult]
    """The results of INTERACTIONS_CHECKS."""


def audited_days(
    days: Iterable[date], *, raw: RawDays, rule: WishRule, rows: RowRule, taken_off: TakenOff | None = None
) -> Iterator[list[AuditedDay]]:
    """Clean and audit days in chunks; no day depends on another. Arguments as in `publish_interactions`."""
    for chunk in raw.read_chunks(days, every_column=True):
        found = clean_days(chunk, rule=rule, rows=rows, taken_off=taken_off)
        cleaned = [(day, one) for (day, _), one in zip(chunk, found, strict=True)]
        yield [
            AuditedDay(day=day, frame=one.frame, account=one.account, wishes=one.wishes, results=results)
            for (day, one), results in zip(cleaned, audit_days(cleaned, rule=rule), strict=True)
        ]


@dataclass(kw_only=True)
class InteractionsOutcome:
    """The days of one run."""

    published: PublishOutcome
    """Days published and rejected."""
    account: RowAccount
    """All raw rows of these days: kept, dropped or merged."""
    accounts: dict[date, RowAccount] = field(default_factory=dict)
    """Cleaned day -> its account, where a row was left out."""
    wishes: dict[date, int] = field(default_factory=dict)
    """Cleaned day -> its rows with a weight above 0."""
    missing: list[date] = field(default_factory=list)
    """Days without a raw file (never landed, or in quarantine), which are left out."""


def publish_interactions(
    days: Iterable[date],
    *,
    raw: RawDays,
    store: DayStore,
    quarantine: Path,
    rule: WishRule,
    rows: RowRule,
    taken_off: TakenOff | None = None,
    ledger: CheckLedger | None = None,
    progress: Callable[[date], None] | None = None,
) -> InteractionsOutcome:
    """Clean the raw store's days, in order, audit each and publish it or put it in quarantine.

    Args:
        days: the days.
        raw: where the raw events are.
        store: where a passing day is written.
        quarantine: folder of rejected days.
        rule: the weight of each kind, and the least rating of a wish.
        rows: the rows that are no interaction by the choice of the shop.
        taken_off: pieces that returns of any day take off purchases; None for none.
        ledger: keeps every result, and the account of each published day.
        progress: called with each day when it is done.
    """
    wanted = list(days)
    return publish_audited(
        audited_days(wanted, raw=raw, rule=rule, rows=rows, taken_off=taken_off),
        wanted,
        store=store,
        quarantine=quarantine,
        ledger=ledger,
        progress=progress,
    )


def publish_audited(
    chunks: Iterable[Sequence[AuditedDay]],
    wanted: Sequence[date],
    *,
    store: DayStore,
    quarantine: Path,
    ledger: CheckLedger | None = None,
    progress: Callable[[date], None] | None = None,
) -> InteractionsOutcome:
    """Publish cleaned days, or put them in quarantine; `chunks` have those of `wanted` that have a raw file, in order.

    The other arguments are as in `publish_interactions`.
    """
    publisher = DayPublisher(store=store, quarantine=quarantine, ledger=ledger)
    account, accounts, wishes = RowAccount(), dict[date, RowAccount](), dict[date, int]()
    missing = set(wanted)
    for chunk in chunks:
        for one in chunk:
            missing.discard(one.day)
            account = account.plus(one.account)
            if one.account.reasons:
                accounts[one.day] = one.account
            wishes[one.day] = one.wishes
            publisher.publish(one.day, one.frame, one.results, account=one.account)
            if progress is not None:
                progress(one.day)
    return InteractionsOutcome(
        published=publisher.finish(),
        account=account,
        accounts=accounts,
        wishes=wishes,
        missing=[day for day in wanted if day in missing],
    )
