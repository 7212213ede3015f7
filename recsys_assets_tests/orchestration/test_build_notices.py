"""Notices of builds: each rejected day, failed gate and failure once, delivered by whoever comes first."""

from datetime import UTC, date, datetime

import dagster as dg
import polars as pl
import pytest

from recsys_assets.errors import InputError
from recsys_assets.notices.outbox import Notice, Outbox
from recsys_assets.orchestration.build import land
from recsys_assets.orchestration.build_notices import deliver_notices, notice_outcome, noticed
from recsys_assets.orchestration.build_outcome import BuildOutcome, StageRow
from recsys_assets.orchestration.resources import Lake
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.quarantine import quarantine_day, recalled_result
from recsys_assets.release.gate_report import GateReport, GateResult, write_gate
from recsys_assets.settings import Settings, load_settings
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home
from recsys_assets_tests.notices.servers import HttpReceiver, http_receiver
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

DAYS = [date(2020, 5, n) for n in (1, 2, 3)]
RELEASE = "20200503-0f3a5bc2d1"


def ignore(_text: str) -> None:
    """Say nothing."""


@pytest.fixture
def receiver():
    with http_receiver() as running:
        yield running


@pytest.fixture
def home(tmp_path, receiver) -> Home:
    home = Home(tmp_path)
    home.settings_file.write_text(
        f'[source]\nspec = "tabular:events.csv"\nfirst_day = 2020-05-01\nlast_day = 2020-05-03\n'
        f'[notify]\nwebhooks = ["{receiver.url}"]\n'
    )
    return home


@pytest.fixture
def settings(home) -> Settings:
    return load_settings(home)


def reject(home: Home, day: date, *, value: int = 1, table: str = "raw_interactions") -> None:
    why = CheckResult(table=table, check="drift_rows", verdict="block", day=day, detail="half of the rows")
    quarantine_day(home.quarantine, day, pl.DataFrame({"a": [value]}), [why])


def kept(home: Home) -> list[Notice]:
    if not home.notices_db.exists():
        return []
    with Outbox(home.notices_db) as outbox:
        return outbox.notices()


def ended(*rows: tuple[str, str, str]) -> BuildOutcome:
    return BuildOutcome(rows=[StageRow(stage=s, status=status, detail=d) for s, status, d in rows])


def test_a_good_build_keeps_no_notice(home, settings):
    notice_outcome(home, settings, ended(("release", "built", "")))
    assert kept(home) == []
    assert not home.notices_db.exists()


def test_days_that_were_rejected_are_one_notice_and_noticed_once(home, settings):
    failed = ended(("raw_interactions", "failed", "raw_interactions: 2 of 3 days rejected"))
    for day in DAYS[:2]:
        reject(home, day)
    for _ in range(3):
        notice_outcome(home, settings, failed)
    (notice,) = kept(home)
    assert (notice.kind, notice.subject) == ("rejected_day", "Rejected: 2020-05-01 to 2020-05-02")
    assert "2020-05-01  raw_interactions  drift_rows: half of the rows" in notice.text
    assert f"recsys quarantine accept 2020-05-01..2020-05-02 --home {home.root}" in notice.text
    assert notice.details["days"] == ["2020-05-01", "2020-05-02"]


def test_another_delivery_of_a_rejected_day_is_another_notice(home, settings):
    reject(home, DAYS[0])
    notice_outcome(home, settings, ended())
    reject(home, DAYS[0], value=2)
    notice_outcome(home, settings, ended())
    assert len(kept(home)) == 2


def test_a_recalled_day_in_quarantine_is_no_rejected_day(home, settings):
    result = recalled_result("raw_interactions", DAYS[0], "prices in roubles")
    quarantine_day(home.quarantine, DAYS[0], pl.DataFrame({"a": [1]}), [result])
    notice_outcome(home, settings, ended())
    assert kept(home) == []


def test_a_failed_gate_is_one_notice_with_its_reasons(home, settings):
    result = GateResult(
        name="held_out", passed=False, value=0.1, bound=0.28, detail="NDCG@10 0.1, at least 0.28"
    )
    report = GateReport(
        release=RELEASE, against="20200502-aaaaaaaaaa", at=datetime(2020, 5, 4, tzinfo=UTC), passed=False,
        results=[result], inputs="x",
    )  # fmt: skip
    write_gate(home.releases, report)
    replace_file(home.artifact("release"), f"{RELEASE}\n".encode())
    for _ in range(2):
        notice_outcome(home, settings, ended(("release", "failed", report.in_words())))
    (notice,) = kept(home)
    assert notice.kind == "failed_gate"
    assert "held out: NDCG@10 0.1, at least 0.28" in notice.text
    assert f"recsys releases promote {RELEASE}" in notice.text


def test_a_failure_is_noticed_again_after_the_stage_went_well(home, settings):
    failed = ended(("features", "failed", "disk full"))
    for outcome in (failed, failed, ended(("features", "built", "")), failed):
        notice_outcome(home, settings, outcome)
    assert [notice.subject for notice in kept(home)] == ["Build failed at features: disk full"] * 2


def test_a_build_that_ends_by_an_error_is_noticed_delivered_and_still_raises(home, settings, receiver):
    for _ in range(2):
        with pytest.raises(InputError), noticed(home, settings, ignore):
            raise InputError("events.csv: not there; mount the disk")
    assert [body["kind"] for body in receiver.bodies] == ["failed_build"]
    assert "events.csv: not there; mount the disk" in receiver.bodies[0]["text"]


def test_a_notice_that_cannot_be_kept_is_said_and_changes_nothing_else(home, settings):
    home.notices_db.mkdir()
    reject(home, DAYS[0])
    said: list[str] = []
    with noticed(home, settings, said.append) as noted:
        noted.outcome = ended()
    assert said
    assert str(home.notices_db) in said[0]


def test_dagsters_sensor_notices_rejected_days_and_delivers(home, receiver):
    reject(home, DAYS[0])
    lake = Lake(home_path=str(home.root))
    said = [deliver_notices()(dg.build_sensor_context(), lake=lake) for _ in range(2)]
    assert [one.skip_message for one in said] == ["Notices: 1 sent.", "no notice waits"]
    assert [body["kind"] for body in receiver.bodies] == ["rejected_day"]


def test_landing_days_with_a_fault_sends_a_notice_at_its_end(tmp_path, receiver: HttpReceiver):
    home, _ = small_home(tmp_path / "shop", first=DAYS[0], days=2)
    with home.settings_file.open("a") as file:
        file.write(f'\n[report]\ndays = 0\n\n[notify]\nslack = ["{receiver.url}"]\n')
    events = tmp_path / "shop" / "events.csv"
    lines = events.read_text().splitlines()
    events.write_text("\n".join([lines[0], *(f",{line.partition(',')[2]}" for line in lines[1:])]) + "\n")
    outcome = land(home, load_settings(home), SilentWatcher(), DAYS[:1])
    assert outcome.failed
    (body,) = receiver.bodies
    assert body["text"].startswith("Rejected: 2020-05-01\n1 day rejected:")
