"""What a person can do with refused days."""

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner

from recsys_assets.commands.quarantine_commands import quarantine
from recsys_assets.errors import QuarantineError
from recsys_assets.quality.audit_and_publish import publish_days
from recsys_assets.quality.expectations import expect
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import (
    RefusedDay,
    accept,
    drop,
    lineage_notes,
    refused_day,
    refused_days,
)
from recsys_assets.quality.run_expectations import evaluate, schema_result
from recsys_assets.storage.partition_store import PartitionStore

DAY = date(2017, 9, 1)
SCHEMA = pl.Schema({"a": pl.Int64})
BAD = pl.DataFrame({"a": [1, -7]})
AT = datetime(2017, 9, 2, 8, tzinfo=UTC)


def audit(day, frame):
    results = [schema_result(frame, SCHEMA, table="raw", day=day)]
    return results + evaluate([expect("a").between(0, 9, block_below=0.9)], frame, table="raw", day=day)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "quality.sqlite") as opened:
        yield opened


@pytest.fixture
def store(tmp_path):
    return PartitionStore(root=tmp_path / "raw", schema=SCHEMA)


@pytest.fixture
def deliver(tmp_path, store, ledger):
    def once(frame, day=DAY):
        return publish_days(
            [(day, frame)],
            store=store,
            audit=audit,
            quarantine=tmp_path / "quarantine",
            ledger=ledger,
            now=lambda: AT,
        )

    return once


def test_lists_days_with_their_reasons(tmp_path, deliver):
    deliver(BAD)
    (refused,) = refused_days(tmp_path / "quarantine")
    assert (refused.table, refused.day, refused.rows) == ("raw", DAY, 2)
    assert refused.reasons[0].sample == [{"a": -7}]


def test_nothing_was_ever_refused(tmp_path):
    assert refused_days(tmp_path / "quarantine") == []


def test_raises_when_the_day_is_not_in_quarantine(tmp_path, deliver):
    deliver(BAD)
    with pytest.raises(QuarantineError, match="in quarantine are 2017-09-01"):
        refused_day(tmp_path / "quarantine", date(2017, 9, 2))


def test_accepting_publishes_the_day_and_empties_its_quarantine(tmp_path, deliver, store, ledger):
    deliver(BAD)
    accept(tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="real", at=AT)
    assert store.read(DAY).equals(BAD)
    assert refused_days(tmp_path / "quarantine") == []


def test_accepting_is_kept_for_the_lineage(tmp_path, deliver, store, ledger):
    deliver(BAD)
    accept(tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="real", at=AT)
    assert lineage_notes(ledger) == {DAY: ["raw: accepted by ada at 2017-09-02T08:00:00+00:00: real"]}


def test_the_same_delivery_passes_again_after_it_was_accepted(tmp_path, deliver, store, ledger):
    deliver(BAD)
    accept(tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="real", at=AT)
    assert list(deliver(BAD).rows) == [DAY]
    assert list(deliver(pl.DataFrame({"a": [1, -8]})).blocked) == [DAY]


def test_raises_when_no_reason_is_given(tmp_path, deliver, store, ledger):
    deliver(BAD)
    with pytest.raises(QuarantineError, match="reason"):
        accept(tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why=" ", at=AT)


def test_a_day_without_a_column_cannot_be_accepted(tmp_path, deliver, store, ledger):
    deliver(BAD.rename({"a": "b"}))
    with pytest.raises(QuarantineError, match=r"a \(Int64\)"):
        accept(tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="x", at=AT)
    assert store.days() == []


def test_dropping_leaves_the_published_file(tmp_path, deliver, store):
    deliver(BAD.with_columns(pl.lit(1, pl.Int64).alias("a")))
    before = store.checksum(DAY)
    deliver(BAD)
    drop(tmp_path / "quarantine", DAY)
    assert refused_days(tmp_path / "quarantine") == []
    assert store.checksum(DAY) == before


def refused_home(tmp_path, days) -> Path:
    """A home with nothing but refused deliveries of these days of September 2017."""
    for day in days:
        folder = tmp_path / "quarantine" / f"date=2017-09-{day:02d}"
        folder.mkdir(parents=True)
        note = RefusedDay(table="raw", day=date(2017, 9, day), rows=day, fingerprint="", reasons=[])
        (folder / "raw.json").write_bytes(msgspec.json.encode(note))
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "dropped"),
    [
        (["2017-09-03"], [3]),
        (["2017-09-05", "2017-09-01"], [1, 5]),
        (["2017-09-02..2017-09-05"], [3, 4, 5]),
        (["2017-08-01..2017-12-31", "2017-09-03"], [1, 3, 4, 5, 8]),
    ],
)
def test_many_days_are_dropped_at_once(tmp_path, asked, dropped):
    home = refused_home(tmp_path, [1, 3, 4, 5, 8])
    done = CliRunner().invoke(quarantine, ["drop", "--home", str(home), *asked])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [f"2017-09-{d:02d} raw: {d} refused rows removed" for d in dropped]
    left = [one.day.day for one in refused_days(home / "quarantine")]
    assert left == sorted({1, 3, 4, 5, 8} - set(dropped))


def test_a_span_without_refused_days_drops_nothing(tmp_path):
    home = refused_home(tmp_path, [1])
    done = CliRunner().invoke(
        quarantine, ["drop", "--home", str(home), "2017-09-01", "2017-10-01..2017-10-31"]
    )
    assert isinstance(done.exception, QuarantineError)
    assert "2017-10-01 is not in quarantine; in quarantine are 2017-09-01" in str(done.exception)
    assert len(refused_days(home / "quarantine")) == 1


@pytest.mark.parametrize("asked", ["2017-09-05..2017-09-01", "2017-09", "2017-09-01..", "yesterday"])
def test_what_is_no_day_and_no_span_is_refused(tmp_path, asked):
    done = CliRunner().invoke(quarantine, ["drop", "--home", str(refused_home(tmp_path, [1])), asked])
    assert (done.exit_code, len(refused_days(tmp_path / "quarantine"))) == (2, 1)
