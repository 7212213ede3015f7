"""Users taken out of a ledger on a real Postgres server, as out of its file."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from recsys_assets.orchestration.forgetting.taken_out_ledger import take_out_of_ledger
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.quality.check_ledger import Acceptance, CheckLedger
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.ledger_place import PostgresPlace
from recsys_assets.quality.open_ledger import open_at
from recsys_assets.quality.row_account import RowAccount, RowsOfReason
from recsys_assets_tests.database_servers import running_postgres

DAY = date(2017, 1, 1)
NOW = datetime(2026, 11, 27, tzinfo=UTC)
FAILED = CheckResult(
    table="raw_interactions", day=DAY, check="not_null", verdict="block", failing_rows=2,
    sample=[{"user_id": "u2056", "item_id": "i1"}, {"user_id": "u20567", "item_id": "i2"}],
    detail="user_id='u2056' has 12 rows",
)  # fmt: skip
OTHER = replace(FAILED, table="interactions", sample=[], detail="12 rows")
ACCEPTED = Acceptance(
    table="interactions", day=DAY, fingerprint="f", who="ada", why="u2056 called", accepted_at=NOW
)
ACCOUNT = RowAccount(kept=7, reasons={"no_item": RowsOfReason(rows=1, example="line 3: user_id='u2056'")})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def plant(ledger: CheckLedger) -> None:
    ledger.record([FAILED, OTHER], at=NOW)
    ledger.accept(ACCEPTED)
    ledger.put_account(DAY, ACCOUNT)
    ledger.put_profiles("raw_interactions", {DAY: b"\x82\xa1a\x01\xa1b\x02"})


def content(ledger: CheckLedger) -> list[object]:
    profiles = ledger.profiles("raw_interactions", since=DAY, before=date.max)
    return [ledger.results(), ledger.acceptances(), ledger.accounts(), profiles]


def test_a_user_goes_from_a_server_as_from_a_file(server, tmp_path):
    file = tmp_path / "quality.sqlite"
    schema = PostgresPlace(connection=server, schema="shop", owner=None, former=tmp_path / "former.sqlite")
    wanted, found = WantedIds(["u2056"]), []
    for place in (file, schema):
        with open_at(place) as ledger:
            plant(ledger)
        assert take_out_of_ledger(place, wanted) == 4
        assert take_out_of_ledger(place, wanted) == 0
        with open_at(place) as ledger:
            found.append(content(ledger))
    assert found[0] == found[1]
    assert "'u2056'" not in str(found)
    assert "u20567" in str(found)


def test_a_former_file_beside_the_server_is_searched_too(server, tmp_path):
    former = tmp_path / "quality.sqlite"
    with Ledger(former) as ledger:
        plant(ledger)
    place = PostgresPlace(connection=server, schema="former", owner=None, former=former)
    assert take_out_of_ledger(place, WantedIds(["u2056"])) == 8
    assert b"u2056 called" not in former.read_bytes()
