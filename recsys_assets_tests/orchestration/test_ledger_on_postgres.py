"""Commands of a home whose ledger is on a Postgres server: plan, report as known, prune, doctor, lost tables."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from recsys_assets.commands.doctor import examine
from recsys_assets.interactions.day_in_window import load_day
from recsys_assets.orchestration.build import land
from recsys_assets.orchestration.known_then import home_as_known, report_as_known
from recsys_assets.orchestration.planning import plan as planning
from recsys_assets.orchestration.planning.build_plan import ProposedChange
from recsys_assets.orchestration.repair.damage import find_damage
from recsys_assets.orchestration.repair.damaged_databases import mend_databases
from recsys_assets.orchestration.retention import prune
from recsys_assets.quality.ledger_place import LedgerPlace, ledger_place
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.database_servers import running_postgres
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
pytestmark = [pytest.mark.scale, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="module")
def home(server, tmp_path_factory) -> Home:
    made, _ = small_home(tmp_path_factory.mktemp("ledger") / "shop", first=FIRST, days=len(DAYS))
    with made.settings_file.open("a") as settings:
        settings.write(f'\n[report]\ndays = 0\n\n[ledger]\npostgres = "{server}"\n')
    assert not land(made, load_settings(made), SilentWatcher(), DAYS).failed
    return made


def days_in(home: Home) -> list[date | None]:
    with open_ledger(home) as ledger:
        return sorted({result.day for result in ledger.results() if result.day})


def run(place: LedgerPlace, statement: str) -> None:
    assert not isinstance(place, Path)
    with closing(psycopg2.connect(place.connection)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_landing_records_on_the_server_alone(home):
    assert days_in(home) == DAYS
    assert not home.quality_db.exists()


def test_a_plan_changes_nothing_on_the_server(home, tmp_path):
    proposal = tmp_path / "recsys.toml"
    proposal.write_text(home.settings_file.read_text() + '\n[interactions]\nnot_products = ["i1"]\n')
    with open_ledger(home) as ledger:
        before = ledger.results(), ledger.accounts()
    with planning.planned(home, ProposedChange(settings_file=proposal)) as staged:
        assert any(step.stage == "interactions" for step in staged.plan.steps)
    with open_ledger(home) as ledger:
        assert (ledger.results(), ledger.accounts()) == before


def test_a_report_as_known_reads_and_writes_a_copy(home):
    settings, at = load_settings(home), datetime.now(UTC) + timedelta(hours=1)
    page = report_as_known(home, settings, DAYS[-1], at=at)
    assert page.is_file()
    with home_as_known(home, settings, at) as then:
        assert isinstance(ledger_place(then), Path)
    assert load_day(home, DAYS[-1]).results


def test_doctor_names_the_server(home):
    facts = dict(examine(home).facts)
    assert facts["ledger"].startswith("postgres 127.0.0.1:")
    assert facts["ledger"].endswith(", schema recsys_home: 4 days with results")


def test_old_results_are_pruned_on_the_server(home):
    later = datetime.now(UTC) + timedelta(days=4_000)
    with open_ledger(home) as ledger:
        before, warned = ledger.results(), ledger.attention(since=FIRST)
    prune(home, load_settings(home), now=later, dry_run=True)
    with open_ledger(home) as ledger:
        assert ledger.results() == before
    (checks,) = (one for one in prune(home, load_settings(home), now=later) if one.kind == "check results")
    assert checks.removed == "4 days"
    with open_ledger(home) as ledger:
        assert len(ledger.results()) < len(before)
        assert ledger.attention(since=FIRST) == warned


def test_tables_that_are_lost_are_damage_and_made_again(home):
    run(ledger_place(home), "DROP SCHEMA recsys_home CASCADE")
    lost = [
        str(damage) for damage in find_damage(home, load_settings(home)) if damage.path == home.quality_db
    ]
    assert "its tables are missing on postgres 127.0.0.1" in lost[0]
    said = list[str]()
    mend_databases(home, load_settings(home), said.append)
    assert "every day is audited again" in said[0]
    assert not land(home, load_settings(home), SilentWatcher(), DAYS).failed
    assert days_in(home) == DAYS
