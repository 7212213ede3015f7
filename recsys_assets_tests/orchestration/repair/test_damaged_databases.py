"""A damaged database is moved away, and what can be read of it is taken over."""

from datetime import UTC, date, datetime

import pytest

from recsys_assets.errors import AnswersUnavailableError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.rows import EventRow
from recsys_assets.intake.stored_events import read_events
from recsys_assets.orchestration.repair.damaged_databases import damaged_databases, mend_databases, moved_away
from recsys_assets.release.answer_counts import AnswerCounts, HourlyAnswers, add_answers, read_answers
from recsys_assets.settings import Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.home import Home

RELEASE = "20240101-0123456789"
SETTINGS = Settings(
    source=SourceSettings(spec="tabular:nowhere", first_day=date(2024, 1, 1), last_day=date(2024, 1, 2))
)


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path)
    rows = [HourlyAnswers(f"20240101-{n:010x}", "plain", "2024-01-01T00", 2) for n in range(4000)]
    add_answers(found.answers_db, rows)
    return found


def total(home):
    return sum(one.answers for one in read_answers(home.answers_db))


def test_whole_counts_stay_as_they_are(home):
    said = []
    mend_databases(home, SETTINGS, said.append)
    assert said == []
    assert total(home) == 8000


def test_counts_that_can_be_read_are_kept_and_a_server_adds_to_the_new_file(home):
    server = AnswerCounts(home.answers_db)
    content = bytearray(home.answers_db.read_bytes())
    content[-8192:] = bytes(8192)
    home.answers_db.write_bytes(content)
    assert [file for file, _, _ in damaged_databases(home, SETTINGS)] == [home.answers_db]
    said = []
    mend_databases(home, SETTINGS, said.append)
    (line,) = said
    assert "moved to answers.sqlite.damaged-" in line
    assert f"{total(home):,} answers were kept" in line
    assert 1000 < (kept := total(home)) < 8000
    server.give(RELEASE, "plain")
    server.flush()
    assert total(home) == kept + 1
    assert list(damaged_databases(home, SETTINGS)) == []


def test_what_is_no_database_is_moved_away_and_counts_begin_again(home):
    server = AnswerCounts(home.answers_db)
    home.answers_db.write_bytes(b"many letters" * 999)
    server.give(RELEASE, "plain")
    with pytest.raises(AnswersUnavailableError, match="answers cannot be counted"):
        server.flush()
    mend_databases(home, SETTINGS, lambda _: None)
    server.flush()
    assert total(home) == 1


def test_a_server_that_runs_takes_the_file_that_a_build_made(tmp_path):
    home = Home(tmp_path)
    event = EventRow("e", "1", "2", "view", 1_483_228_800_000_000, 1_483_228_801_000_000)
    intake = Intake(home.events_db, EventsSettings(), now=lambda: datetime.now(UTC))
    intake.submit([event]).result(10)
    moved_away(home.events_db)
    intake.submit([event._replace(event_id="later")]).result(10)
    intake.close()
    assert [event.event_id for _, event in read_events(home.events_db)] == ["later"]
