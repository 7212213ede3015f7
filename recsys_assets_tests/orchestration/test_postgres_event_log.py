"""A home whose Dagster storage is a Postgres server of the test's own, and one whose server cannot be used."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote, urlencode

import dagster as dg
import pytest
import sqlalchemy as db

from recsys_assets.errors import SettingsError
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.dagster_yaml import event_log_in_use, require_server
from recsys_assets.orchestration.instance import commit_without_waiting_for_the_disk, open_instance
from recsys_assets.orchestration.retention import prune
from recsys_assets.settings import load_settings
from recsys_assets_tests.database_servers import running_postgres
from recsys_assets_tests.orchestration.homes import SilentWatcher, recorded_days, small_home

FIRST = date(2024, 1, 1)
RAW = dg.AssetKey("raw_interactions")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def test_a_home_on_postgres_builds_and_is_fresh_after_it(tmp_path, postgres):
    home, _ = small_home(tmp_path / "shop", first=FIRST)
    with home.settings_file.open("a") as settings:
        settings.write(f'\n[report]\ndays = 0\n\n[dagster]\npostgres = "{postgres}"\n')
    commit_without_waiting_for_the_disk()  # as the commands do
    assert not build(home, load_settings(home), SilentWatcher()).failed
    assert event_log_in_use(home) == "Postgres, in batches"
    assert home.dagster_yaml.stat().st_mode & 0o077 == 0
    assert not (home.dagster / "history").exists()
    with open_instance(home) as instance:
        found = recorded_days(instance)
        waiting = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(RAW, "whose_is_it"), limit=10
        )
    assert found["days"] == [str(FIRST + timedelta(days=n)) for n in range(6)]
    assert found["last run"]
    assert not found["unfinished"]
    assert [record.status.value for record in waiting] == ["SUCCEEDED"]
    assert not build(home, load_settings(home), SilentWatcher()).built
    prune(home, load_settings(home), now=datetime.now(UTC) + timedelta(days=40))
    with open_instance(home) as instance:
        assert recorded_days(instance) == found
        assert instance.all_logs(instance.get_run_ids()[-1], of_type=dg.DagsterEventType.STEP_START) == []
    assert not build(home, load_settings(home), SilentWatcher()).built


@pytest.mark.parametrize("url", ["postgresql://ada:secret@127.0.0.1:1/x", "postgresql://ada:secret@[::1/x"])
def test_a_server_that_cannot_be_used_is_one_line_without_the_password(tmp_path, url):
    home, _ = small_home(tmp_path / "shop", first=FIRST)
    with home.settings_file.open("a") as settings:
        settings.write(f'\n[dagster]\npostgres = "{url}"\n')
    with pytest.raises(SettingsError) as raised:
        open_instance(home)
    assert "postgres: the server cannot be used" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [("-c role=reader", "gives reader no right"), ("-c default_transaction_read_only=on", "is read-only")],
)
def test_a_server_that_dagster_cannot_write_to_is_one_line(postgres, options, said):
    engine = db.create_engine(postgres.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(db.text("DROP ROLE IF EXISTS reader"))
        connection.execute(db.text("CREATE ROLE reader"))
    engine.dispose()
    with pytest.raises(SettingsError, match=f"postgres 127.0.0.1:.* {said}.*take the setting out$"):
        require_server(f"{postgres}?{urlencode({'options': options}, quote_via=quote)}", seconds=5)
