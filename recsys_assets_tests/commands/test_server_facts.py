"""The servers of a home in `recsys doctor`: each that does not answer is named, and the others are as they are."""

import pytest

from recsys_assets.commands.doctor import examine
from recsys_assets.commands.server_facts import facts_of_servers
from recsys_assets.launching.launcher import free_port
from recsys_assets.settings import DEFAULT_SOURCE, Settings, load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.database_servers import postgres_server

SOURCE = '[source]\nspec = "x"\nfirst_day = 2024-01-01\nlast_day = 2024-01-02\n'


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "shop")


def test_without_a_server_only_the_storage_of_dagster_is_named(home):
    found = facts_of_servers(home, Settings(source=DEFAULT_SOURCE))
    assert found.facts == [("Dagster's storage", "none yet")]
    assert found.ledger_answers


def test_each_server_that_does_not_answer_is_named(home):
    url, port = f"postgresql://shop:secret@127.0.0.1:{free_port()}/shop", free_port()
    settings = with_servers(
        home, url, f'backend = "nats"\nurl = "nats://127.0.0.1:{port}"\nacknowledge = "written"'
    )
    found = facts_of_servers(home, settings)
    facts = dict(found.facts)
    assert list(facts) == ["Dagster's storage", "ledger", "event server"]
    assert all(state.startswith("cannot be used: ") for state in facts.values())
    assert "[dagster] postgres: the server cannot be used" in facts["Dagster's storage"]
    assert "no answer" in facts["ledger"]
    assert f"127.0.0.1:{port}" in facts["event server"]
    assert "secret" not in str(facts)
    assert found.next_step == "start the server of the ledger, or mend [ledger] postgres"
    assert not found.ledger_answers


@pytest.mark.scale
def test_servers_that_answer_are_named(home):
    with postgres_server() as server:
        settings = with_servers(home, server.url, f'backend = "postgres"\nurl = "{server.url}"')
        found = facts_of_servers(home, settings)
    facts = dict(found.facts)
    assert facts["Dagster's storage"].endswith(" answers")
    assert "no tables yet" in facts["ledger"]
    assert " answers; " in facts["event server"]
    assert not found.next_step
    assert found.ledger_answers


def test_nobody_takes_dagsters_storage_for_the_events_of_users(home):
    home.root.mkdir()
    home.settings_file.write_text(SOURCE)
    names = [name for name, _ in examine(home).facts]
    assert "Dagster's storage" in names
    assert not any(name.startswith("event log") for name in names)


def with_servers(home: Home, postgres: str, events: str) -> Settings:
    """The settings of a home that names servers."""
    home.root.mkdir()
    lines = f'[dagster]\npostgres = "{postgres}"\n[ledger]\npostgres = "{postgres}"\n[events]\n{events}\n'
    home.settings_file.write_text(SOURCE + lines)
    return load_settings(home)
