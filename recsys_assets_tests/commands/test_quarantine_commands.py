"""`recsys quarantine`: days and spans are dropped at once, or nothing is."""

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner

from recsys_assets.commands.quarantine_commands import quarantine
from recsys_assets.errors import QuarantineError
from recsys_assets.interactions.cleaned_days import publish_interactions
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.row_rule import RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.raw_audit import RawAudit
from recsys_assets.quality.audit_and_publish import prepared, publish_days
from recsys_assets.quality.quarantine import RejectedDay, rejected_days
from recsys_assets.storage.partition_store import PartitionStore

FIRST = date(2017, 9, 1)


def rejected_home(tmp_path, days) -> Path:
    """A home with nothing but rejected deliveries of these days of September 2017."""
    for day in days:
        folder = tmp_path / "quarantine" / f"date=2017-09-{day:02d}"
        folder.mkdir(parents=True)
        note = RejectedDay(table="raw", day=date(2017, 9, day), rows=day, fingerprint="", reasons=[])
        (folder / "raw.json").write_bytes(msgspec.json.encode(note))
    return tmp_path


@pytest.mark.parametrize(
    ("days", "dropped"),
    [
        (["2017-09-03"], [3]),
        (["2017-09-05", "2017-09-01"], [1, 5]),
        (["2017-09-02..2017-09-05"], [3, 4, 5]),
        (["2017-08-01..2017-12-31", "2017-09-03"], [1, 3, 4, 5, 8]),
    ],
)
def test_many_days_are_dropped_at_once(tmp_path, days, dropped):
    home = rejected_home(tmp_path, [1, 3, 4, 5, 8])
    done = CliRunner().invoke(quarantine, ["drop", "--home", str(home), *days])
    assert done.exit_code == 0, done.output
    lines = [line.split()[:3] for line in done.output.splitlines()]
    assert lines == [[f"2017-09-{d:02d}", "raw:", str(d)] for d in dropped]
    left = [one.day.day for one in rejected_days(home / "quarantine")]
    assert left == sorted({1, 3, 4, 5, 8} - set(dropped))


def test_a_span_without_rejected_days_drops_nothing(tmp_path):
    home = rejected_home(tmp_path, [1])
    done = CliRunner().invoke(
        quarantine, ["drop", "--home", str(home), "2017-09-01", "2017-10-01..2017-10-31"]
    )
    assert isinstance(done.exception, QuarantineError)
    assert "2017-10-01..2017-10-31 is not in quarantine; in quarantine are 2017-09-01" in str(done.exception)
    assert len(rejected_days(home / "quarantine")) == 1


def show(home: Path) -> str:
    done = CliRunner().invoke(quarantine, ["show", "--home", str(home), "2017-09-01"])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_day_that_cleaning_emptied_shows_the_raw_rows_and_why(tmp_path):
    at = datetime(2017, 9, 1, 12, tzinfo=UTC)
    rows = [{"user_id": None if n % 10 < 7 else "u", "item_id": str(n), "timestamp": at} for n in range(100)]
    raw = PartitionStore(root=tmp_path / "raw", schema=RAW_INTERACTIONS.polars_schema())
    raw.write(FIRST, pl.DataFrame(rows, schema=raw.schema))
    publish_interactions(
        [FIRST],
        raw=raw,
        store=PartitionStore(root=tmp_path / "interactions", schema=INTERACTIONS.polars_schema()),
        quarantine=tmp_path / "quarantine",
        rule=WishRule(),
        rows=RowRule(),
    )
    home = f" --home {tmp_path}"
    assert show(tmp_path).splitlines() == [
        "2017-09-01 interactions: 100 rows rejected",
        "  70 of 100 rows without a user (no_user)",
        "  Was most of it kept? Check kept_by_cleaning: 30.0% of the rows pass; it warns below 80%, rejects below 40%",
        *(
            f"    no_user: user_id=None, item_id={n}, timestamp=2017-09-01 12:00:00.000000+00:00"
            for n in range(5)
        ),
        "    … 65 more",
        f"To publish it as it is:        recsys quarantine accept 2017-09-01{home} --why TEXT",
        f"To leave it out:               recsys quarantine drop 2017-09-01{home}",
        f"After the source was mended:   recsys land --from 2017-09-01{home}",
    ]
    listed = CliRunner().invoke(quarantine, ["list", "--home", str(tmp_path)]).output.splitlines()
    assert listed == [
        "2017-09-01  interactions  70 of 100 rows without a user (no_user)",
        f"Next: recsys quarantine show 2017-09-01{home}",
    ]


def test_a_raw_day_that_failed_its_checks_says_so_in_words(tmp_path):
    rows = [{"user_id": "u", "item_id": str(n), "timestamp": None} for n in range(60)]
    audit, frame = RawAudit(RAW_INTERACTIONS), pl.DataFrame(rows, schema=RAW_INTERACTIONS.polars_schema())
    publish_days(
        prepared([(FIRST, frame)], audit),
        store=PartitionStore(root=tmp_path / "raw", schema=RAW_INTERACTIONS.polars_schema()),
        audit=audit,
        quarantine=tmp_path / "quarantine",
    )
    lines = show(tmp_path).splitlines()
    assert lines[:2] == [
        "2017-09-01 raw_interactions: 60 rows rejected",
        "  60 of 60 rows without a time (timestamp_not_null)",
    ]
    assert "    user_id=u, item_id=0, timestamp=None" in lines


@pytest.mark.parametrize("argument", ["2017-09-05..2017-09-01", "2017-09", "2017-09-01..", "yesterday"])
def test_an_argument_that_is_neither_day_nor_span_is_an_error(tmp_path, argument):
    done = CliRunner().invoke(quarantine, ["drop", "--home", str(rejected_home(tmp_path, [1])), argument])
    assert (done.exit_code, len(rejected_days(tmp_path / "quarantine"))) == (2, 1)
