"""The same facts about both forms of the ledger: a file of SQLite, and a schema on a real Postgres server."""

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.quality.check_ledger import Acceptance, CheckLedger
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.ledger_place import LedgerPlace, PostgresPlace
from recsys_assets.quality.open_ledger import open_at
from recsys_assets.quality.read_results import all_accounts, last_days, last_troubled
from recsys_assets.quality.row_account import RowAccount, RowsOfReason
from recsys_assets_tests.database_servers import running_postgres

DAY = date(2017, 3, 1)
AT = datetime(2017, 4, 1, tzinfo=UTC)
RESULT = CheckResult(
    table="raw", check="a_between", verdict="warn", day=DAY, passed_share=0.5, failing_rows=1,
    sample=[{"a": -7, "name": "é"}], value=3.0, warn_below=1.0, block_below=0.0, warn_above=2.0,
    block_above=4.0, detail="1 of 2 rows fail",
)  # fmt: skip
ACCEPTANCE = Acceptance(table="raw", day=DAY, fingerprint="f", who="ada", why="real", accepted_at=AT)
NewPlace = Callable[[], LedgerPlace]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def schema_of(url: str, folder: Path, *, name: str = "") -> PostgresPlace:
    name = name or f"ledger_{os.getpid()}_{next(_numbers)}"
    return PostgresPlace(connection=url, schema=name, owner=str(folder), former=folder / "quality.sqlite")


@pytest.fixture(params=["sqlite", "postgres"])
def new_place(request, tmp_path) -> NewPlace:
    """A function that returns the place of another ledger at each call."""
    if request.param == "sqlite":
        return lambda: tmp_path / f"{next(_numbers)}.sqlite"
    url = request.getfixturevalue("server")
    return lambda: schema_of(url, tmp_path)


@pytest.fixture
def place(new_place) -> LedgerPlace:
    return new_place()


@contextmanager
def two(place: LedgerPlace) -> Iterator[tuple[CheckLedger, CheckLedger]]:
    with open_at(place) as one, open_at(place) as other:
        yield one, other


DAYS = st.integers(0, 4).map(lambda n: DAY + timedelta(days=n))
TABLES = st.sampled_from(["raw_interactions", "interactions", "item_catalogue", "Ünder_score"])
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)
RESULTS = st.builds(
    CheckResult,
    table=TABLES,
    check=st.sampled_from(["a", "b", "c_"]),
    verdict=st.sampled_from(["ok", "warn", "block"]),
    day=st.none() | DAYS,
    value=st.none() | st.floats(allow_nan=False),
    failing_rows=st.integers(0, 2**40),
    detail=TEXTS,
    sample=st.lists(st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9), max_size=2), max_size=2),
)
ACTIONS = st.one_of(
    st.tuples(st.just("record"), st.lists(RESULTS, max_size=4)),
    st.tuples(st.just("profile"), st.tuples(TABLES, DAYS, st.binary(max_size=5))),
    st.tuples(st.just("forget profile"), st.tuples(TABLES, DAYS)),
    st.tuples(st.just("account"), st.tuples(DAYS, st.integers(0, 9))),
    st.tuples(
        st.just("accept"),
        st.builds(
            Acceptance,
            table=TABLES, day=DAYS, fingerprint=st.sampled_from("fgh"), who=TEXTS, why=TEXTS,
            accepted_at=st.just(AT), as_normal=st.booleans(),
        ),
    ),
    st.tuples(st.just("follow"), st.sampled_from([{"f": "g"}, {"g": "h", "h": "f"}])),
    st.tuples(st.just("prune"), st.booleans()),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("reopen"), st.none()),
)  # fmt: skip


def acted(ledger: CheckLedger, action: str, value: object, number: int) -> object:
    at = AT + timedelta(minutes=number)
    match action, value:
        case "record", list():
            ledger.record(value, at=at)
        case "profile", (table, day, content):
            ledger.put_profiles(table, {day: content})
        case "forget profile", (table, day):
            ledger.forget_profile(table, day)
        case "account", (day, rows):
            ledger.put_account(day, RowAccount(kept=rows, reasons={"no_user": RowsOfReason(rows=1)}))
        case "accept", Acceptance():
            ledger.accept(value)
        case "follow", dict():
            ledger.follow_fingerprints(value)
        case "prune", bool():
            return ledger.forget_passed(before=AT + timedelta(minutes=3), dry_run=value)
        case "flush", None:
            ledger.flush()
    return None


def everything(ledger: CheckLedger) -> list[object]:
    return [
        ledger.results(),
        ledger.results(day=DAY),
        ledger.attention(since=DAY + timedelta(days=1)),
        [ledger.history(table, days=2) for table in ("raw_interactions", "interactions")],
        [
            ledger.profiles(table, since=DAY, before=date.max)
            for table in ("raw_interactions", "interactions")
        ],
        list(ledger.accounts().items()),
        sorted(ledger.acceptances(), key=lambda one: (one.day, one.table, one.fingerprint)),
    ]


def shown(place: LedgerPlace) -> list[object]:
    return [last_days(place, days=2), last_troubled(place, days=2), list(all_accounts(place).items())]


@given(st.lists(ACTIONS, max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_forms_answer_the_same_after_any_writes(server, tmp_path, actions):
    file, schema = tmp_path / f"{next(_numbers)}.sqlite", schema_of(server, tmp_path)
    of_file, of_server = open_at(file), open_at(schema)
    try:
        for number, (action, value) in enumerate(actions):
            if action == "reopen":
                of_file.close()
                of_server.close()
                of_file, of_server = open_at(file), open_at(schema)
            assert acted(of_file, action, value, number) == acted(of_server, action, value, number)
            assert everything(of_file) == everything(of_server)
    finally:
        of_file.close()
        of_server.close()
    assert shown(file) == shown(schema)


def test_nothing_is_seen_by_others_before_a_flush(place):
    with two(place) as (one, other):
        one.record([RESULT], at=AT)
        one.accept(ACCEPTANCE)
        assert one.results() == [RESULT]
        assert other.results() == other.acceptances() == []
        one.flush()
        assert (other.results(), other.acceptances()) == ([RESULT], [ACCEPTANCE])


def test_a_copy_is_a_file_with_the_same_content(place, tmp_path):
    with open_at(place) as ledger:
        ledger.record([RESULT], at=AT)
        ledger.accept(ACCEPTANCE)
        ledger.put_profiles("raw", {DAY: b"\x00\x01"})
        ledger.put_account(DAY, RowAccount(kept=7))
        ledger.flush()
        found = everything(ledger)
        ledger.copy_to(tmp_path / "copy.sqlite")
    with Ledger(tmp_path / "copy.sqlite") as copy:
        assert everything(copy) == found


def test_a_reader_finds_nothing_where_nothing_was_made(place):
    assert last_days(place, days=7) == last_troubled(place, days=7) == []


def _record_forever(place: LedgerPlace, who: int) -> None:
    """Record batches of ten days, each of one number, until the process is killed."""
    ledger = open_at(place)
    for batch in itertools.count():
        for n in range(10):
            one = replace(RESULT, day=DAY + timedelta(days=n), check=f"by_{who}", value=float(batch))
            ledger.record([one], at=AT)
        ledger.flush()


def _record_some(place: LedgerPlace, who: int) -> None:
    with open_at(place) as ledger:
        for n in range(20):
            ledger.record([replace(RESULT, check=f"by_{who}", value=float(n))], at=AT)
            ledger.flush()


def test_writers_at_the_same_time_lose_nothing_of_each_other(place):
    open_at(place).close()
    if isinstance(place, Path):
        pytest.skip("a file of SQLite has one writer, which holds the build lock")
    run = multiprocessing.get_context("fork")
    writers = [run.Process(target=_record_some, args=(place, who)) for who in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(timeout=60)
        assert one.exitcode == 0
    with open_at(place) as ledger:
        assert [(r.check, r.value) for r in ledger.results()] == [(f"by_{who}", 19.0) for who in range(3)]


def test_a_writer_that_is_killed_leaves_whole_batches(place):
    open_at(place).close()
    run = multiprocessing.get_context("fork")
    for _ in range(5):
        writer = run.Process(target=_record_forever, args=(place, 0))
        writer.start()
        end, before = time.monotonic() + 30, None
        while time.monotonic() < end:
            with open_at(place, reading=True) as ledger:
                values = {result.value for result in ledger.results()}
            assert len(values) <= 1
            if before is not None and values not in ({before}, set()):
                break
            before = next(iter(values), None)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join(timeout=30)
        with open_at(place) as ledger:
            assert len({result.value for result in ledger.results()}) == 1
            assert len(ledger.results()) == 10
