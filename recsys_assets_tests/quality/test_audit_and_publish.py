"""Write, audit, publish: good days become visible, bad ones go to quarantine, published files stay."""

import json
from datetime import UTC, date, datetime, timedelta

import polars as pl

from recsys_assets.quality.audit_and_publish import (
    RECENT_DAYS,
    DayPublisher,
    RecalledRows,
    prepared,
    publish_days,
)
from recsys_assets.quality.check_ledger import Acceptance
from recsys_assets.quality.expectations import expect
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import content_fingerprint, rejected_days
from recsys_assets.quality.run_expectations import evaluate
from recsys_assets.storage import day_frames
from recsys_assets.storage.partition_store import PartitionStore

FIRST, SECOND, THIRD = (date(2017, 3, day) for day in (1, 2, 3))
SCHEMA = pl.Schema({"a": pl.Int64})
GOOD = pl.DataFrame({"a": [1, 2]})
BAD = pl.DataFrame({"a": [1, -7]})


def audit(day, frame):
    return evaluate([expect("a").between(0, 9, block_below=0.9)], frame, table="raw", day=day)


def publish(tmp_path, *frames, ledger=None):
    return publish_days(
        [frames],
        store=PartitionStore(root=tmp_path / "raw", schema=SCHEMA),
        audit=audit,
        quarantine=tmp_path / "quarantine",
        ledger=ledger,
        now=lambda: datetime(2017, 4, 1, tzinfo=UTC),
    )


def acceptance(frame):
    return Acceptance(
        table="raw",
        day=FIRST,
        fingerprint=content_fingerprint(frame),
        who="ada",
        why="refunds are real",
        accepted_at=datetime(2017, 4, 1, tzinfo=UTC),
    )


def test_other_days_of_the_range_are_published(tmp_path):
    outcome = publish(tmp_path, (FIRST, GOOD), (SECOND, BAD), (THIRD, GOOD))
    assert outcome.rows == {FIRST: 2, THIRD: 2}
    assert list(outcome.rejected) == [SECOND]
    assert PartitionStore(root=tmp_path / "raw", schema=SCHEMA).days() == [FIRST, THIRD]


def test_good_file_of_a_rejected_day_stays_byte_for_byte(tmp_path):
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    publish(tmp_path, (FIRST, GOOD))
    before = store.checksum(FIRST)
    publish(tmp_path, (FIRST, BAD))
    assert store.checksum(FIRST) == before


def test_quarantine_holds_the_day_its_failing_rows_and_the_reason(tmp_path):
    publish(tmp_path, (FIRST, BAD))
    folder = tmp_path / "quarantine" / "date=2017-03-01"
    assert pl.read_parquet(folder / "raw.parquet").equals(BAD)
    (reason,) = json.loads((folder / "raw.json").read_text())["reasons"]
    assert reason["check"] == "a_between"
    assert reason["sample"] == [{"a": -7}]


def test_a_good_delivery_ends_the_days_quarantine(tmp_path):
    publish(tmp_path, (FIRST, BAD))
    publish(tmp_path, (FIRST, GOOD))
    assert not (tmp_path / "quarantine" / "date=2017-03-01").exists()


def test_every_result_is_in_the_ledger(tmp_path):
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        publish(tmp_path, (FIRST, GOOD), (SECOND, BAD), ledger=ledger)
        found = ledger.results()
    assert [(r.day, r.verdict) for r in found] == [(FIRST, "ok"), (SECOND, "block")]
    assert found[1].sample == [{"a": -7}]


def test_an_outcome_keeps_the_results_of_unusual_days_and_of_the_last_ones_only(tmp_path):
    days = [FIRST + timedelta(days=n) for n in range(50)]
    outcome = publish(tmp_path, *((day, BAD if day == SECOND else GOOD) for day in days))
    assert [result.day for result in outcome.results] == [SECOND, *days[-RECENT_DAYS:]]


def test_auditing_again_replaces_the_result(tmp_path):
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        publish(tmp_path, (FIRST, BAD), ledger=ledger)
        publish(tmp_path, (FIRST, GOOD), ledger=ledger)
        assert [r.verdict for r in ledger.results()] == ["ok"]


def test_accepted_delivery_is_published_with_a_warning(tmp_path):
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.accept(acceptance(BAD))
        outcome = publish(tmp_path, (FIRST, BAD), (SECOND, BAD), ledger=ledger)
    assert list(outcome.rows) == [FIRST]
    assert list(outcome.rejected) == [SECOND]
    assert "refunds are real" in outcome.warned[FIRST][0].detail


def test_another_delivery_of_an_accepted_day_is_rejected(tmp_path):
    other = pl.DataFrame({"a": [1, -8]})
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.accept(acceptance(BAD))
        assert list(publish(tmp_path, (FIRST, other), ledger=ledger).rejected) == [FIRST]


class LearningAudit:
    """Notes how each day ended."""

    def __init__(self):
        self.ended = []

    def __call__(self, day, frame):
        return audit(day, frame)

    def published(self, day, frame):
        self.ended.append((day, "published", frame.height))

    def rejected(self, day):
        self.ended.append((day, "rejected"))


def test_an_audit_of_history_learns_how_each_day_ended(tmp_path):
    learning = LearningAudit()
    publish_days(
        [[(FIRST, GOOD), (SECOND, BAD)]],
        store=PartitionStore(root=tmp_path / "raw", schema=SCHEMA),
        audit=learning,
        quarantine=tmp_path / "quarantine",
    )
    assert learning.ended == [(FIRST, "published", 2), (SECOND, "rejected")]


class PreparedAudit(LearningAudit):
    """Notes the chunks that it saw, too."""

    def prepare(self, frames):
        self.ended.append([(day, frame.height) for day, frame in frames])


def test_an_audit_is_prepared_for_a_chunk_of_days_before_its_first(tmp_path, monkeypatch):
    monkeypatch.setattr(day_frames, "CHUNK_DAYS", 2)
    audit = PreparedAudit()
    publish_days(
        prepared(iter([(FIRST, GOOD), (SECOND, BAD), (THIRD, GOOD)]), audit),
        store=PartitionStore(root=tmp_path / "raw", schema=SCHEMA),
        audit=audit,
        quarantine=tmp_path / "quarantine",
    )
    assert audit.ended == [
        [(FIRST, 2), (SECOND, 2)],
        (FIRST, "published", 2),
        (SECOND, "rejected"),
        [(THIRD, 2)],
        (THIRD, "published", 2),
    ]


def test_nothing_durable_names_a_day_before_it_is_on_the_disk(tmp_path):
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    publish(tmp_path, (FIRST, BAD))
    with Ledger(tmp_path / "quality.sqlite") as ledger, Ledger(tmp_path / "quality.sqlite") as reader:
        publisher = DayPublisher(store=store, quarantine=tmp_path / "quarantine", ledger=ledger)
        publisher.publish(FIRST, GOOD, audit(FIRST, GOOD))
        assert not (store.root / ".days.jsonl").exists()
        assert reader.results() == []
        assert len(rejected_days(tmp_path / "quarantine")) == 1

        publisher.finish()
        assert len((store.root / ".days.jsonl").read_bytes().splitlines()) == 1
        assert [result.day for result in reader.results()] == [FIRST]
        assert rejected_days(tmp_path / "quarantine") == []


def test_recalled_rows_are_rejected_though_they_pass_and_were_accepted_and_other_rows_are_not(tmp_path):
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.accept(acceptance(GOOD))
        publisher = DayPublisher(
            store=store,
            quarantine=tmp_path / "quarantine",
            ledger=ledger,
            recalled={FIRST: [RecalledRows(content_fingerprint(GOOD), "prices in roubles")]},
        )
        assert not publisher.publish(FIRST, GOOD, audit(FIRST, GOOD))
        assert publisher.publish(SECOND, GOOD, audit(SECOND, GOOD))
        (rejected,) = rejected_days(tmp_path / "quarantine")
        assert [one.detail for one in rejected.reasons] == ["prices in roubles"]
        other = pl.DataFrame({"a": [1, 3]})
        assert publisher.publish(FIRST, other, audit(FIRST, other))
        publisher.finish()
        assert [one.verdict for one in ledger.results(day=FIRST)] == ["ok", "ok"]
    assert rejected_days(tmp_path / "quarantine") == []
