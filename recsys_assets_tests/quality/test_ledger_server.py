"""A ledger's server that is killed, missing, or another home's: said in one line, and nothing recorded is lost."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from recsys_assets.benchmarks.scale_servers import PostgresServer
from recsys_assets.errors import DatabaseUnavailableError, SettingsError
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.ledger_place import has_ledger, ledger_place
from recsys_assets.quality.open_ledger import compact_ledger, ledger_bytes, open_at
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.storage.home import Home
from recsys_assets.storage.postgres_outage import shown_server
from recsys_assets_tests.database_servers import postgres_server
from recsys_assets_tests.quality.test_ledgers import ACCEPTANCE, AT, DAY, RESULT, everything, schema_of


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as found:
        yield found


def home_with(folder: Path, postgres: str, *, more: str = "") -> Home:
    home = Home(folder)
    folder.mkdir(exist_ok=True)
    home.settings_file.write_text(
        '[source]\nspec = "sqlite:/shop.db?table=x"\nfirst_day = 2024-01-01\nlast_day = 2024-01-09\n'
        f'\n[ledger]\npostgres = "{postgres}"\n{more}'
    )
    return home


def test_what_was_recorded_before_a_kill_is_flushed_after_the_start(server, tmp_path):
    said, place = list[str](), schema_of(server.url, tmp_path)
    with open_at(place, say=said.append) as ledger:
        ledger.record([RESULT], at=AT)
        ledger.flush()
        ledger.accept(ACCEPTANCE)
        assert ledger.acceptances() == [ACCEPTANCE]
        server.kill()
        starting = threading.Timer(3, server.start)
        starting.start()
        ledger.put_account(DAY, RowAccount(kept=1))
        ledger.flush()
        starting.join()
    assert f"{shown_server(place.connection)}: no answer for 2 s; waiting" in said
    assert said[-1].startswith(f"{shown_server(place.connection)}: back after ")
    with open_at(place) as ledger:
        assert (ledger.results(), ledger.acceptances()) == ([RESULT], [ACCEPTANCE])
        assert ledger.accounts() == {DAY: RowAccount(kept=1)}


def test_a_server_that_stays_away_is_one_line_with_the_wait_and_without_the_password(tmp_path):
    place = schema_of("postgresql://ada:secret@127.0.0.1:1/shop", tmp_path, name="shop")
    with pytest.raises(DatabaseUnavailableError) as raised:
        open_at(place, seconds=0.2)
    text = str(raised.value)
    assert text.startswith("postgres 127.0.0.1:1/shop, schema shop: no answer for 0 s (")
    assert "start the server" in text
    assert "secret" not in text
    assert "\n" not in text
    assert "secret" not in repr(place)


@pytest.mark.parametrize(("before", "after"), [("/postgres", "/elsewhere"), ("recsys@", "nobody:secret@")])
def test_a_server_that_rejects_is_not_waited_for(server, tmp_path, before, after):
    said = list[str]()
    with pytest.raises(SettingsError, match="does not exist"):
        open_at(schema_of(server.url.replace(before, after), tmp_path), say=said.append)
    assert not said


def test_a_server_that_is_read_only_is_one_line(server, tmp_path):
    url = f"{server.url}?options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(SettingsError, match=r"^\[ledger\] postgres: .*read-only transaction$"):
        open_at(schema_of(url, tmp_path))


def test_the_schema_of_another_home_is_not_used(server, tmp_path):
    homes = [home_with(tmp_path / name, server.url) for name in ("a-shop", "a_shop")]
    open_at(ledger_place(homes[0])).close()
    with pytest.raises(SettingsError, match=f"it is the ledger of {homes[0].root}, not of {homes[1].root}"):
        open_at(ledger_place(homes[1]))
    moved = home_with(tmp_path / "a_shop", f"{server.url}?schema=recsys_a_shop")
    open_at(ledger_place(moved)).close()


def test_the_store_names_the_schema_so_that_every_machine_has_the_same(server, tmp_path):
    storage = '[storage]\nroot = "s3://Shops.eu/first"\n'.lower()
    places = [ledger_place(home_with(tmp_path / name, server.url, more=storage)) for name in ("a", "b")]
    assert {(place.schema, place.owner) for place in places} == {
        ("recsys_shops_eu_first", "s3://shops.eu/first")
    }


def test_a_file_of_before_is_taken_over_once(server, tmp_path):
    home = home_with(tmp_path / "former", server.url)
    with Ledger(home.quality_db) as former:
        former.record([RESULT], at=AT)
        former.accept(ACCEPTANCE)
        former.put_profiles("raw", {DAY: b"1"})
        found = everything(former)
    with open_at(ledger_place(home)) as ledger:
        assert everything(ledger) == found
        ledger.forget_profile("raw", DAY)
    with open_at(ledger_place(home)) as ledger:
        assert ledger.profiles("raw", since=DAY, before=DAY + timedelta(days=1)) == {}


def test_a_copy_in_the_home_is_read_instead_of_the_server(tmp_path):
    home = home_with(tmp_path / "staged", "postgresql://ada@127.0.0.1:1/shop")
    with Ledger(home.ledger_copy) as copy:
        copy.record([RESULT], at=AT)
    with open_at(ledger_place(home)) as ledger:
        assert ledger.results() == [RESULT]
    assert has_ledger(home)


def test_pages_of_removed_rows_are_given_back(server, tmp_path):
    place = schema_of(server.url, tmp_path)
    with open_at(place) as ledger:
        ledger.put_profiles("raw", {DAY + timedelta(days=n): bytes(range(256)) * 4 for n in range(2000)})
    full = ledger_bytes(place)
    with open_at(place) as ledger:
        for n in range(2000):
            ledger.forget_profile("raw", DAY + timedelta(days=n))
    compact_ledger(place)
    assert ledger_bytes(place) < full / 2


@pytest.mark.parametrize("url", ["postgresql://a@h/d?schema=A-b", "postgresql://a@h:port/d"])
def test_a_url_that_cannot_be_used_is_a_mistake_in_the_settings(tmp_path, url):
    with pytest.raises(SettingsError, match=r"\[ledger\] postgres: .*give "):
        ledger_place(home_with(tmp_path / "wrong", url))
