"""The asset `increment_report` writes what `[report]` asks for, and says where it wrote nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from recsys_assets.orchestration.build import land
from recsys_assets.orchestration.instance import build_definitions, open_instance
from recsys_assets.orchestration.jobs import DAILY_INCREMENT
from recsys_assets.orchestration.partitions import range_tags
from recsys_assets.quality.ledger import Ledger
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2020, 5, 1)
WARNED = FIRST + timedelta(days=1)


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    """Three landed days without reports, of which the second warned."""
    home, _ = small_home(tmp_path_factory.mktemp("reports") / "shop", first=FIRST, days=3)
    with home.settings_file.open("a") as file:
        file.write('\n[report]\nwhen = "never"\n')
    settings = load_settings(home)
    outcome = land(home, settings, SilentWatcher(), settings.source.days())
    assert not outcome.failed, outcome.rows
    assert not home.reports.exists()
    with Ledger(home.quality_db) as ledger:
        verdicts = [
            replace(found, verdict="warn" if found.day == WARNED else "ok", sample=[])
            for found in ledger.results()
        ]
        ledger.record(verdicts, at=datetime(2020, 6, 1, tzinfo=UTC))
    return home


def report_on_every_day(home):
    """Materialise the asset for all days, as a backfill in Dagster's UI does; return its events by day."""
    tags = range_tags(FIRST, FIRST + timedelta(days=2))
    with open_instance(home) as instance:
        done = (
            build_definitions(home)
            .resolve_job_def(DAILY_INCREMENT)
            .execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey("increment_report")], tags=tags
            )
        )
    assert done.success
    return {event.partition: event.step_materialization_data.materialization.metadata
            for event in done.get_asset_materialization_events()}  # fmt: skip


def test_only_the_day_that_warned_has_a_report_and_the_others_say_none(landed, monkeypatch):
    monkeypatch.setenv("RECSYS_REPORT__WHEN", "warned")
    found = report_on_every_day(landed)
    assert days_under(landed.reports) == [WARNED]
    texts = {day: metadata["report"].value for day, metadata in found.items()}
    assert texts.pop(WARNED.isoformat()).endswith("increment_report.html")
    assert set(texts.values()) == {"none"}
    assert found[WARNED.isoformat()]["not_reported"].value == '2 days, as [report] when = "warned" asks'


def test_never_writes_no_file(landed, monkeypatch):
    monkeypatch.setenv("RECSYS_REPORT__WHEN", "never")
    before = sorted(landed.reports.rglob("*")) if landed.reports.exists() else []
    found = report_on_every_day(landed)
    assert {metadata["report"].value for metadata in found.values()} == {"none"}
    assert (sorted(landed.reports.rglob("*")) if landed.reports.exists() else []) == before
