"""`recsys bench quality`: false alarms on untouched days, and the share of injected faults that are detected.

A year is replayed day by day through the audit of `raw_interactions`; each day, and each faulty version of it, is
judged only by the days before it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.benchmarks.faults import DESTRUCTIVE, FAULTS, Delivery
from recsys_assets.benchmarks.partial_faults import PARTIAL_FAULTS
from recsys_assets.drift.monitor import Monitor
from recsys_assets.drift.windows import WINDOW_DAYS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.raw_audit import RawAudit
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.settings import QualitySettings

FIRST_JUDGED: Final = 57
"""Number of the first judged day; the days before it are history only."""
_CATEGORY: Final = columns.CATEGORY
_ALL_FAULTS: Final = {**FAULTS, **PARTIAL_FAULTS}


@dataclass(kw_only=True)
class Tally:
    """Counts of one fault's injections."""

    injected: int = 0
    """All injections."""
    warned: int = 0
    """Injections that warned."""
    blocked: int = 0
    """Injections that were rejected."""
    checks: dict[str, int] = field(default_factory=dict)
    """Check -> injections that it did not pass."""

    def add(self, results: list[CheckResult]) -> None:
        """Count one injection."""
        self.injected += 1
        verdict = worst(results)
        self.warned += verdict == "warn"
        self.blocked += verdict == "block"
        for result in results:
            if result.verdict != "ok":
                self.checks[result.check] = self.checks.get(result.check, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return the injections and the shares detected (warned or blocked) and blocked."""
        of = max(self.injected, 1)
        return {
            "injected": self.injected,
            "detected_share": (self.warned + self.blocked) / of,
            "blocked_share": self.blocked / of,
            "checks": dict(sorted(self.checks.items(), key=lambda item: -item[1])[:5]),
        }


class Injections:
    """The days that each fault is injected into, and its source of random choices.

    Each group of faults draws from a stream of its own, so that its injections stay the same when another grows.
    """

    def __init__(self, days: Sequence[date], *, injections: int, seed: int) -> None:
        """Choose up to `injections` of `days` for each fault."""
        self.dates: dict[str, set[date]] = {}
        self.rngs: dict[str, np.random.Generator] = {}
        for rng, group in (
            (np.random.default_rng(seed), FAULTS),
            (np.random.default_rng([seed, 1]), PARTIAL_FAULTS),
        ):
            for name in group:
                places = rng.choice(len(days), size=min(injections, len(days)), replace=False) if days else ()
                self.dates[name] = {days[place] for place in places}
                self.rngs[name] = rng


def run(
    *,
    source: str = "completejourney",
    first_judged: int = FIRST_JUDGED,
    last_judged: int = 365,
    injections: int = 24,
    least_rows: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Replay a year through the audit: false alarms, and the detected share of injected faults.

    A source without ratings gets simulated ones for the fault `ratings_shifted` alone; the untouched replay and all
    other faults use the source as it is.

    Args:
        source: its spec.
        first_judged: number (from 1) of the first day that is judged.
        last_judged: number of the last one.
        injections: days that each fault is injected into.
        least_rows: days with fewer rows get no fault.
        seed: of the choice of days and rows.
    """
    started = time.perf_counter()
    opened = open_source(source)
    span = opened.date_range()
    count = min((span.last_day - span.first_day).days + 1, last_judged)
    days = [span.first_day + timedelta(days=n) for n in range(count)]
    catalogue = opened.catalogue()
    with TemporaryDirectory() as scratch:
        frames = dict(iter_days(opened, days, scratch=Path(scratch)))
    judged = days[first_judged - 1 :]
    busy = [day for day in judged if frames[day].height > max(least_rows - 1, 0)]
    plan = Injections(busy, injections=injections, seed=seed)
    tallies = {name: Tally() for name in _ALL_FAULTS}
    verdicts: dict[date, list[CheckResult]] = {}
    has_ratings = any(frames[day][columns.RATING].null_count() < frames[day].height for day in busy[:28])
    plain = {name for name in _ALL_FAULTS if has_ratings or name != "ratings_shifted"}
    for day, results, injected in _replay(frames, plan, plain, contract=opened.contract, catalogue=catalogue):
        if day in judged:
            verdicts[day] = results
        for name, found in injected:
            tallies[name].add(found)
    if not has_ratings:
        rated = {day: _with_ratings(frame, day) for day, frame in frames.items()}
        for _, _, injected in _replay(
            rated, plan, {"ratings_shifted"}, contract=opened.contract, catalogue=catalogue
        ):
            for name, found in injected:
                tallies[name].add(found)
    return _summary(verdicts, tallies) | {
        "source": source,
        "days": len(days),
        "ratings": "the source's" if has_ratings else "simulated, for `ratings_shifted` only",
        "seconds": round(time.perf_counter() - started, 1),
    }


def worst(results: list[CheckResult]) -> str:
    """Return the worst verdict of a day's results: `block`, `warn` or `ok`."""
    verdicts = {result.verdict for result in results}
    return "block" if "block" in verdicts else "warn" if "warn" in verdicts else "ok"


def _replay(
    frames: dict[date, pl.DataFrame],
    plan: Injections,
    names: set[str],
    *,
    contract: Any,
    catalogue: pl.DataFrame | None,
) -> Iterator[tuple[date, list[CheckResult], list[tuple[str, list[CheckResult]]]]]:
    """Yield each day in order, with its own results and those of the faults injected into it."""
    monitor = Monitor(RAW_INTERACTIONS.name, QualitySettings(), catalogue=catalogue)
    audit = RawAudit(contract, monitor=monitor)
    categories = pl.DataFrame(schema={columns.ITEM_ID: pl.String, _CATEGORY: pl.String})
    if catalogue is not None:
        categories = catalogue.select(columns.ITEM_ID, _CATEGORY)
    yesterday = next(iter(frames.values())).clear()
    for day, frame in frames.items():
        injected = []
        for name in sorted(names):
            if day in plan.dates[name]:
                delivery = Delivery(
                    day=frame,
                    yesterday=yesterday,
                    earlier=_earlier(frames, day),
                    categories=categories,
                    rng=plan.rngs[name],
                )
                faulty = _ALL_FAULTS[name](delivery)
                if not faulty.equals(frame):
                    injected.append((name, audit(day, faulty)))
        results = audit(day, frame)
        # An untouched day that alarms is real: a person would let it through, so that it becomes history.
        audit.published(day, frame)
        yield day, results, injected
        yesterday = frame


def _earlier(frames: dict[date, pl.DataFrame], day: date) -> pl.DataFrame:
    """Return the events of the four weeks before `day`."""
    weeks = [day - timedelta(days=n) for n in range(WINDOW_DAYS, 0, -1)]
    return pl.concat([frames[before] for before in weeks if before in frames])


def _with_ratings(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """Simulated ratings from 1 to 5, mostly high, in shares that differ a little from day to day."""
    rng = np.random.default_rng(day.toordinal())
    shares = rng.dirichlet(200 * np.array([0.06, 0.05, 0.11, 0.23, 0.55]))
    ratings = rng.choice(np.arange(1, 6), size=frame.height, p=shares).astype(np.float32)
    return frame.with_columns(pl.Series(columns.RATING, ratings))


def _summary(verdicts: dict[date, list[CheckResult]], tallies: dict[str, Tally]) -> dict[str, Any]:
    def days(verdict: str) -> list[dict[str, str]]:
        return [
            {"day": day.isoformat(), "why": "; ".join(r.detail for r in results if r.verdict == verdict)}
            for day, results in verdicts.items()
            if worst(results) == verdict
        ]

    made = {name: tally for name, tally in tallies.items() if tally.injected}
    injected = sum(tally.injected for tally in made.values())
    destructive = [made[name] for name in DESTRUCTIVE if name in made]
    faults = {name: tally.as_dict() for name, tally in made.items()}
    return {
        "warn_days": len(days("warn")),
        "block_days": len(days("block")),
        "judged_days": len(verdicts),
        "detected_share": sum(t.warned + t.blocked for t in made.values()) / max(injected, 1),
        "min_fault_detected_share": min((fault["detected_share"] for fault in faults.values()), default=0.0),
        "destructive_blocked_share": sum(t.blocked for t in destructive)
        / max(sum(t.injected for t in destructive), 1),
        "faults": faults,
        "warned": days("warn"),
        "blocked": days("block"),
    }
