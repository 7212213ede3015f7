"""The account of a home adds up to the source's rows, wherever they are: landed, rejected, accepted, landed again."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.interactions.cleaned_days import publish_interactions
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.returns import taken_off
from recsys_assets.interactions.row_rule import RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.home_account import home_account
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.raw_returns import with_note
from recsys_assets.lake.source_days import DaysReading
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.quality.audit_and_publish import publish_days
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import accept_day
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

FIRST, DAYS = date(2024, 1, 1), 4
HEADER = "user_id,item_id,timestamp,quantity\n"


class SmallHome:
    """A home whose stages are called one by one."""

    def __init__(self, root: Path, lines: list[str]) -> None:
        self.home, self.log = Home(root / "home"), root / "log"
        self.log.mkdir(parents=True)
        self.home.root.mkdir()
        self.write(lines)
        last = FIRST + timedelta(days=DAYS - 1)
        self.source = SourceSettings(
            spec=f"tabular:{self.log}/*.csv", first_day=FIRST, last_day=last, bad_rows=1.0
        )
        raw = RAW_INTERACTIONS.polars_schema()
        self.raw = with_note(PartitionStore(root=self.home.raw, schema=raw))
        self.interactions = PartitionStore(root=self.home.interactions, schema=INTERACTIONS.polars_schema())

    def write(self, lines: list[str], name: str = "a.csv") -> None:
        (self.log / name).write_text(HEADER + "".join(f"{line}\n" for line in lines))

    def opened(self) -> Tabular:
        source = Tabular(self.log / "*.csv")
        source.bad_rows = 1.0
        return source

    def survey(self) -> None:
        reading = DaysReading(self.opened())
        for _ in reading.batches():
            pass
        self.counted = reading.result()
        self.counted.save(self.home, self.source)

    def land(self, days: list[date], rejected: set[date] = frozenset()) -> None:
        def audit(day: date, _: pl.DataFrame) -> list[CheckResult]:
            verdict = "block" if day in rejected else "ok"
            return [CheckResult(table="raw_interactions", check="c", day=day, verdict=verdict)]

        once = self.opened().only(
            [name for name in self.counted.files if name not in self.counted.duplicates]
        )
        with Ledger(self.home.quality_db) as ledger:
            publish_days(
                [list(iter_days(once, days, scratch=self.home.scratch))],
                store=self.raw, audit=audit, quarantine=self.home.quarantine, ledger=ledger,
            )  # fmt: skip

    def clean(self) -> None:
        rule = RowRule()
        with Ledger(self.home.quality_db) as ledger:
            publish_interactions(
                self.raw.days(), raw=self.raw, store=self.interactions, quarantine=self.home.quarantine,
                rule=WishRule(), rows=rule, taken_off=taken_off(self.raw, rule), ledger=ledger,
            )  # fmt: skip

    def accept(self, day: date) -> None:
        stores = {"raw_interactions": self.raw, "interactions": self.interactions}
        with Ledger(self.home.quality_db) as ledger:
            at = datetime(2024, 2, 1, tzinfo=UTC)
            accept_day(self.home.quarantine, day, stores=stores, ledger=ledger, who="w", why="y", at=at)

    def requires_that_it_adds_up(self, rows: int) -> dict[str, int]:
        """Return reason -> rows."""
        found = home_account(self.home, self.source)
        assert found.source_rows == rows
        assert found.account.rows == rows
        assert not found.differences
        days = self.interactions.days()
        assert found.account.kept == sum(self.interactions.read(day).height for day in days)
        return {reason: left_out.rows for reason, left_out in found.account.reasons.items()}


def line(user: str, item: str, day: int, quantity: object = 1) -> str:
    return f"{user},{item},{FIRST + timedelta(days=day)} 10:00:00,{quantity}"


def test_every_row_of_the_source_has_one_place(tmp_path):
    lines = [
        *[line("u", str(n), 0) for n in range(5)],
        line("", "i", 0),
        line("u", "0", 1, -1),
        line("u", "i", 2),
        line("u", "i", 400),
        "u,i,yesterday,1",
        line("u", "i", 3),
    ]
    small = SmallHome(tmp_path, lines)
    small.write(lines[:3], "b.csv")
    small.write(lines[:3], "c.csv")
    small.survey()
    assert small.requires_that_it_adds_up(17) == {
        "duplicate": 3,
        "bad_row": 1,
        "outside_range": 1,
        "not_landed": 12,
    }
    small.land([FIRST + timedelta(days=n) for n in range(3)], rejected={FIRST + timedelta(days=2)})
    small.clean()
    assert small.requires_that_it_adds_up(17) == {
        "duplicate": 5,
        "bad_row": 1,
        "outside_range": 1,
        "no_user": 1,
        "returned": 3,
        "rejected": 1,
        "not_landed": 1,
    }


def test_a_rejected_day_that_is_accepted_has_its_own_account(tmp_path):
    lines = [line("" if n % 10 < 7 else "u", str(n), 0) for n in range(100)]
    small = SmallHome(tmp_path, lines)
    small.survey()
    small.land([FIRST])
    small.clean()
    assert small.requires_that_it_adds_up(100) == {"rejected": 100}
    small.accept(FIRST)
    assert small.requires_that_it_adds_up(100) == {"no_user": 70}


def test_rows_that_changed_since_they_landed_are_named(tmp_path):
    small = SmallHome(tmp_path, [line("u", "i", 0)])
    small.survey()
    small.land([FIRST])
    small.clean()
    small.write([line("u", "i", 0), line("v", "i", 0)])
    small.survey()
    (_, differences) = home_account(small.home, small.source).in_words()
    assert differences == (
        "1 day landed with other rows than the source has now (2024-01-01: 1 landed, 2 in the source)"
    )
    small.land([FIRST])
    small.clean()
    assert small.requires_that_it_adds_up(2) == {}


LINE = st.builds(
    line,
    st.sampled_from(["", "u", "v"]),
    st.sampled_from(["", "i", "j"]),
    st.integers(0, DAYS),
    st.sampled_from([-1, 0, 1, 2, "", "many"]),
)
SOME_DAYS = st.sets(st.integers(0, DAYS - 1))


@settings(max_examples=12, deadline=None)
@given(
    lines=st.lists(LINE, min_size=1, max_size=15),
    steps=st.lists(st.tuples(SOME_DAYS, SOME_DAYS, st.booleans()), max_size=3),
)
def test_it_adds_up_after_any_landing_rejection_and_acceptance(lines, steps, tmp_path_factory):
    small = SmallHome(tmp_path_factory.mktemp("home"), lines)
    small.survey()
    small.requires_that_it_adds_up(len(lines))
    for landed, rejected, accepts in steps:
        small.land(
            [FIRST + timedelta(days=n) for n in sorted(landed)], {FIRST + timedelta(days=n) for n in rejected}
        )
        small.clean()
        small.requires_that_it_adds_up(len(lines))
        for day in days_under(small.home.quarantine) if accepts else ():
            small.accept(day)
            small.requires_that_it_adds_up(len(lines))
