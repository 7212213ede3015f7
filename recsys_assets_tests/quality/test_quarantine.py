"""Rejected days are listed, accepted with a reason, or dropped."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys_assets.errors import QuarantineError
from recsys_assets.quality.audit_and_publish import publish_days
from recsys_assets.quality.expectations import expect
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import (
    accept_day,
    content_fingerprint,
    drop_day,
    lineage_notes,
    quarantine_day,
    recalled_result,
    rejected_days,
    rejected_on,
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
            [[(day, frame)]],
            store=store,
            audit=audit,
            quarantine=tmp_path / "quarantine",
            ledger=ledger,
            now=lambda: AT,
        )

    return once


def test_lists_days_with_their_reasons(tmp_path, deliver):
    deliver(BAD)
    (rejected,) = rejected_days(tmp_path / "quarantine")
    assert (rejected.table, rejected.day, rejected.rows) == ("raw", DAY, 2)
    assert rejected.reasons[0].sample == [{"a": -7}]


def test_a_home_without_rejected_days_has_an_empty_list(tmp_path):
    assert rejected_days(tmp_path / "quarantine") == []


def test_raises_when_the_day_is_not_in_quarantine(tmp_path, deliver):
    deliver(BAD)
    with pytest.raises(QuarantineError, match="in quarantine are 2017-09-01"):
        rejected_on(tmp_path / "quarantine", date(2017, 9, 2))


def test_accepting_publishes_the_day_and_empties_its_quarantine(tmp_path, deliver, store, ledger):
    deliver(BAD)
    accept_day(
        tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="real", at=AT
    )
    assert store.read(DAY).equals(BAD)
    assert rejected_days(tmp_path / "quarantine") == []


def test_accepting_is_kept_for_the_lineage(tmp_path, deliver, store, ledger):
    deliver(BAD)
    accept_day(
        tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="real", at=AT
    )
    assert lineage_notes(ledger) == {DAY: ["raw: accepted by ada at 2017-09-02T08:00:00+00:00: real"]}


def test_the_same_delivery_passes_again_after_it_was_accepted(tmp_path, deliver, store, ledger):
    deliver(BAD)
    accept_day(
        tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="real", at=AT
    )
    assert list(deliver(BAD).rows) == [DAY]
    assert list(deliver(pl.DataFrame({"a": [1, -8]})).rejected) == [DAY]


def test_raises_when_no_reason_is_given(tmp_path, deliver, store, ledger):
    deliver(BAD)
    with pytest.raises(QuarantineError, match="reason"):
        accept_day(
            tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why=" ", at=AT
        )


def test_a_day_without_a_column_cannot_be_accepted(tmp_path, deliver, store, ledger):
    deliver(BAD.rename({"a": "b"}))
    with pytest.raises(QuarantineError, match=r"a \(Int64\)"):
        accept_day(
            tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="x", at=AT
        )
    assert store.days() == []


def test_dropping_leaves_the_published_file(tmp_path, deliver, store):
    deliver(BAD.with_columns(pl.lit(1, pl.Int64).alias("a")))
    before = store.checksum(DAY)
    deliver(BAD)
    drop_day(tmp_path / "quarantine", DAY)
    assert rejected_days(tmp_path / "quarantine") == []
    assert store.checksum(DAY) == before


def test_a_kind_that_is_always_null_does_not_change_the_content():
    """Days were accepted before the column was there."""
    frame = pl.DataFrame({"user_id": ["u"], "value": [2.0], "shop": ["s"]})
    nulls = frame.select("user_id", "value", pl.lit(None, pl.String).alias("kind"), "shop")

    assert content_fingerprint(nulls) == content_fingerprint(frame)
    assert content_fingerprint(nulls.with_columns(kind=pl.lit("view"))) != content_fingerprint(frame)


def acceptance_of(tmp_path, deliver, store, ledger, **given):
    deliver(BAD)
    stores = {"raw": store}
    accept_day(
        tmp_path / "quarantine", DAY, stores=stores, ledger=ledger, who="ada", why="real", at=AT, **given
    )
    return ledger.acceptances()


def test_an_accepted_day_is_an_exception(tmp_path, deliver, store, ledger):
    (found,) = acceptance_of(tmp_path, deliver, store, ledger)
    assert not found.as_normal
    assert found.fingerprint == content_fingerprint(BAD)
    assert ledger.exceptions() == ledger.exceptions(DAY, DAY) == [found]
    assert ledger.exceptions(date(2017, 9, 2)) == []


def test_an_accepted_day_may_be_the_new_normal(tmp_path, deliver, store, ledger):
    (found,) = acceptance_of(tmp_path, deliver, store, ledger, as_normal=True)
    assert found.as_normal
    assert ledger.exceptions() == []


def test_accepting_forgets_the_profile_of_the_version_before(tmp_path, deliver, store, ledger):
    ledger.put_profiles("raw", {DAY: b"before"})
    acceptance_of(tmp_path, deliver, store, ledger)
    assert ledger.profiles("raw", since=DAY, before=date.max) == {}


RECALLED_ROWS = pl.DataFrame({"a": [1, 2]})


def recall(tmp_path):
    why = [recalled_result("raw", DAY, "prices in roubles")]
    quarantine_day(tmp_path / "quarantine", DAY, RECALLED_ROWS, why, recalled=True)


def fingerprints(tmp_path):
    return [one.fingerprint for one in rejected_days(tmp_path / "quarantine")]


@pytest.mark.parametrize("way", ["accept", "drop"])
def test_a_rejected_delivery_is_there_again_after_recalled_rows_were_accepted_or_dropped(
    tmp_path, deliver, store, ledger, way
):
    deliver(BAD)
    recall(tmp_path)
    recall(tmp_path)  # finished after it was killed
    assert fingerprints(tmp_path) == [content_fingerprint(RECALLED_ROWS)]

    if way == "accept":
        accept_day(
            tmp_path / "quarantine", DAY, stores={"raw": store}, ledger=ledger, who="ada", why="fine", at=AT
        )
        assert store.read(DAY).equals(RECALLED_ROWS)
    else:
        drop_day(tmp_path / "quarantine", DAY)

    assert fingerprints(tmp_path) == [content_fingerprint(BAD)]
    drop_day(tmp_path / "quarantine", DAY)
    assert list((tmp_path / "quarantine").iterdir()) == []


@pytest.mark.parametrize("next_one", [BAD, pl.DataFrame({"a": [3, 4]})])
def test_a_later_delivery_ends_those_before_it(tmp_path, deliver, next_one):
    deliver(BAD)
    recall(tmp_path)
    passed = not deliver(next_one).rejected
    assert fingerprints(tmp_path) == ([] if passed else [content_fingerprint(next_one)])
    assert [file.name for file in (tmp_path / "quarantine").rglob("waiting")] == []
