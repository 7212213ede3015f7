"""An incident is no history: the next one like it is found again, and ordinary days stay quiet."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys_assets.drift.monitor import Monitor
from recsys_assets.quality.check_ledger import Acceptance
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import content_fingerprint
from recsys_assets.settings import QualitySettings
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets_tests.drift.test_monitor import ROWS, SCHEMA, START, shop, worst

AT = datetime(2020, 6, 1, tzinfo=UTC)
FIRST = 70
"""Number of the first day of an incident."""
PRICES = pl.col("value") * 75
USERS = pl.lit("guest-") + pl.col("user_id").hash(1).cast(pl.String).str.slice(0, 6)
ITEMS = pl.lit("sku/") + pl.col("item_id")
RATINGS = pl.col("rating") / 5
FAULTS = {
    "prices": ("value", PRICES),
    "users": ("user_id", USERS),
    "items": ("item_id", ITEMS),
    "ratings": ("rating", RATINGS),
}


def faulty(frame, fault):
    column, expression = FAULTS[fault]
    return frame.with_columns(expression.alias(column))


def day_of(n):
    return START + timedelta(days=n)


def accepted(day, frame, *, as_normal=False):
    return Acceptance(
        table="raw",
        day=day,
        fingerprint=content_fingerprint(frame),
        who="ada",
        why="it is so",
        accepted_at=AT,
        as_normal=as_normal,
    )


class Log:
    """A published log with incidents, accepted as exceptions or as normal, and its ledger."""

    def __init__(self, folder):
        self.store = PartitionStore(root=folder / "raw", schema=SCHEMA)
        self.ledger = Ledger(folder / "quality.sqlite")
        self.recalled = {}

    def monitor(self):
        return Monitor("raw", QualitySettings(), store=self.store, ledger=self.ledger, recalled=self.recalled)

    def land(self, days, *, incidents=(), fault="prices", as_normal=False):
        """Judge and publish days in one run; return the verdict of each."""
        frames = {n: shop(ROWS, day_of(n)) for n in days}
        frames |= {n: faulty(frames[n], fault) for n in incidents}
        for n in incidents:
            self.ledger.accept(accepted(day_of(n), frames[n], as_normal=as_normal))
        self.ledger.flush()
        monitor, verdicts = self.monitor(), {}
        for n, frame in frames.items():
            verdicts[n] = worst(monitor.judge(frame, day=day_of(n)))
            self.store.write(day_of(n), frame)
            monitor.published(day_of(n), frame)
        self.store.settle()
        self.ledger.flush()
        return verdicts

    def judge(self, n, fault=None):
        frame = shop(ROWS, day_of(n))
        return self.monitor().judge(frame if fault is None else faulty(frame, fault), day=day_of(n))


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path)
    yield log
    log.ledger.close()


def quiet(verdicts, *, but=()):
    return all(verdict != "block" for n, verdict in verdicts.items() if n not in but) and (
        sum(verdict == "warn" for n, verdict in verdicts.items() if n not in but) <= 1
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_an_incident_that_comes_again_is_found_again(log, fault):
    incidents = range(FIRST, FIRST + 5)
    verdicts = log.land(range(FIRST + 12), incidents=incidents, fault=fault)
    assert all(verdicts[n] != "ok" for n in incidents)
    assert worst(log.judge(FIRST + 12, fault)) != "ok"


@pytest.mark.parametrize("fault", FAULTS)
def test_ordinary_days_after_an_incident_are_quiet(log, fault):
    incidents = range(FIRST, FIRST + 5)
    assert quiet(log.land(range(FIRST + 30), incidents=incidents, fault=fault), but=incidents)


def test_a_new_normal_is_no_news_after_some_days(log):
    days = range(FIRST, FIRST + 8)
    verdicts = log.land(range(FIRST + 8), incidents=days, as_normal=True)
    assert verdicts[FIRST] == "block"
    assert worst(log.judge(FIRST + 8, "prices")) == "ok"


def test_a_new_level_that_is_accepted_day_by_day_stays_news(log):
    days = range(FIRST, FIRST + 8)
    verdicts = log.land(range(FIRST + 8), incidents=days)
    assert {verdicts[n] for n in days} == {"block"}
    assert worst(log.judge(FIRST + 8, "prices")) == "block"


def test_exceptions_that_are_the_new_normal_after_all_teach_it(log):
    days = range(FIRST, FIRST + 8)
    log.land(range(FIRST + 8), incidents=days)
    for n in days:
        log.ledger.accept(accepted(day_of(n), log.store.read(day_of(n)), as_normal=True))
    assert worst(log.judge(FIRST + 8, "prices")) == "ok"


def test_a_recalled_day_teaches_nothing_and_a_corrected_one_does(log):
    days = range(FIRST, FIRST + 8)
    log.land(range(FIRST + 8), incidents=days, as_normal=True)
    assert worst(log.judge(FIRST + 8, "prices")) == "ok"
    log.recalled = {day_of(n): {content_fingerprint(log.store.read(day_of(n)))} for n in days}
    assert worst(log.judge(FIRST + 8, "prices")) == "block"
    assert worst(log.judge(FIRST + 8)) == "ok"
    log.land(days)
    assert worst(log.judge(FIRST + 8, "prices")) == "block"
    assert worst(log.judge(FIRST + 8)) == "ok"


def test_users_who_came_first_on_a_day_of_wrong_prices_are_known(log):
    incident = shop(ROWS, day_of(FIRST)).with_columns(PRICES.alias("value"))
    newcomer = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("u301")).otherwise(pl.col("user_id"))
    log.land(range(FIRST))
    monitor = log.monitor()
    for n, frame in ((FIRST, incident), (FIRST + 1, shop(ROWS, day_of(FIRST + 1)))):
        with_newcomer = frame.with_columns(newcomer.alias("user_id"))
        if n == FIRST:
            log.ledger.accept(accepted(day_of(n), with_newcomer))
            monitor = log.monitor()
        monitor.judge(with_newcomer, day=day_of(n))
        monitor.published(day_of(n), with_newcomer)
    log.ledger.flush()
    profiles = log.monitor()._stored_profiles(day_of(FIRST), day_of(FIRST + 2))
    assert [profile.shares["new_users"][0] for profile in profiles.values()] == [1, 0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_day_after_incidents_is_judged_alone_as_in_a_range(tmp_path, log, fault):
    days, incidents = range(FIRST + 12), (FIRST, FIRST + 3, FIRST + 11)
    log.land(days, incidents=incidents, fault=fault)
    log.store.remove(day_of(FIRST + 11))
    alone = log.judge(FIRST + 11, fault)
    again = Log(tmp_path / "again")
    for n in incidents[:2]:
        again.ledger.accept(accepted(day_of(n), log.store.read(day_of(n))))
    monitor = again.monitor()
    for n in range(FIRST + 11):
        frame = log.store.read(day_of(n))
        monitor.judge(frame, day=day_of(n))
        monitor.published(day_of(n), frame)
    in_range = monitor.judge(faulty(shop(ROWS, day_of(FIRST + 11)), fault), day=day_of(FIRST + 11))
    again.ledger.close()
    assert alone == in_range


def test_a_day_whose_profile_was_forgotten_is_read_again(log):
    log.land(range(FIRST))
    before = log.judge(FIRST, "prices")
    log.ledger.forget_profile("raw", day_of(40))
    assert log.judge(FIRST, "prices") == before
    assert day_of(40) in log.ledger.profiles("raw", since=day_of(0), before=day_of(FIRST))


def test_the_snapshot_of_ids_is_of_the_days_that_teach(log):
    log.land(range(FIRST + 2), incidents=[FIRST], fault="users", as_normal=True)
    log.judge(FIRST + 2)
    taught = log.judge(FIRST + 2, "users")
    log.ledger.accept(accepted(day_of(FIRST), log.store.read(day_of(FIRST))))
    untaught = log.judge(FIRST + 2, "users")
    found = [
        next(r for r in results if r.check == "drift_odd_user_ids").verdict for results in (taught, untaught)
    ]
    assert found[1] == "block"
    assert [one.day for one in log.ledger.exceptions()] == [day_of(FIRST)]
    assert taught != untaught
