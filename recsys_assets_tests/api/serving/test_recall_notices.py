"""Recalls over HTTP: the list, and a header on every answer that consumers have to look at."""

from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.serving.recall_notices import RecallNotices, spans
from recsys_assets.api_settings import ApiSettings
from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.current import RecalledDay
from recsys_assets.release.recalls import RecordedRecall, append_recall
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.serving.test_following import wait_for
from recsys_assets_tests.api.world import FIRST_DAY, make_home

PATHS = ("/v1/users/u1/recommendations", "/v1/popular", "/v1/items/i5/similar", "/v1/release", "/v1/recalls")
OTHER = "20240330-0123456789"


@pytest.fixture
def own(tmp_path: Path) -> Home:
    return make_home(tmp_path)


def recalled(home: Home, *days: date, at: datetime, checksum: str = "another version") -> RecordedRecall:
    """Record a recall as the command does."""
    marks = [RecalledDay(day=day, checksum=checksum, at=at, why="prices in roubles") for day in days]
    file = home.releases / "recalled.json"
    before = msgspec.json.decode(file.read_bytes(), type=list[RecalledDay]) if file.exists() else []
    file.write_bytes(msgspec.json.encode([*before, *marks]))
    recall = RecordedRecall(
        at=at, who="ann", why="prices in roubles", days=days, releases=(OTHER,), before=OTHER, current=None,
        answers={OTHER: 12}, exports=("/shop/lists.parquet",),
    )  # fmt: skip
    append_recall(home, recall)
    return recall


def test_without_a_recall_no_answer_has_the_header(own: Home) -> None:
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        assert all("recall" not in client.get(path).headers for path in PATHS)
        assert client.get("/v1/recalls").json()["recalls"] == []


def test_every_answer_names_a_recent_recall_and_304s_do_too(own: Home) -> None:
    recalled(own, FIRST_DAY, FIRST_DAY + timedelta(days=1), at=NOW - timedelta(days=6))
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        values = {client.get(path).headers["recall"] for path in PATHS}
        tag = client.get(PATHS[0]).headers["etag"]
        again = client.get(PATHS[0], headers={"If-None-Match": tag})
    assert values == {'days="2024-03-01..2024-03-02", at="2024-03-27T00:00:00Z", built-on=?0'}
    assert (again.status_code, again.headers["recall"]) == (304, *values)


def test_a_recall_is_named_for_the_days_of_the_setting(own: Home) -> None:
    recalled(own, FIRST_DAY, at=NOW - timedelta(days=8))
    for days, is_named in ((7, False), (9, True), (0, False)):
        settings = ApiSettings(recall_header_days=days)
        with TestClient(create_app(own, settings=settings, clock=lambda: NOW)) as client:
            assert ("recall" in client.get("/v1/popular").headers) is is_named


def test_a_recall_that_was_taken_back_is_named_no_more(own: Home) -> None:
    recalled(own, FIRST_DAY, FIRST_DAY + timedelta(days=1), at=NOW)
    left = RecalledDay(day=FIRST_DAY, checksum="another version", at=NOW, why="prices in roubles")
    (own.releases / "recalled.json").write_bytes(msgspec.json.encode([left]))
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        assert client.get("/v1/popular").headers["recall"].startswith('days="2024-03-01", ')


def test_a_release_built_on_recalled_days_says_so_at_any_time(own: Home) -> None:
    manifest = ReleaseStore(own.releases).list()[0]
    recalled(own, FIRST_DAY, at=NOW - timedelta(days=900), checksum=manifest.lineage[FIRST_DAY])
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        assert client.get("/v1/popular").headers["recall"].endswith('T00:00:00Z", built-on=?1')


def test_a_recall_during_serving_is_named_within_seconds_and_listed(own: Home) -> None:
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        assert "recall" not in client.get("/v1/popular").headers
        recalled(own, FIRST_DAY, at=NOW)
        assert wait_for(lambda: "recall" in client.get("/v1/popular").headers)
        assert wait_for(lambda: client.get("/v1/recalls").json()["recalls"])


def test_recalls_are_listed_newest_first_without_logins_and_paths(own: Home) -> None:
    for days in (3, 2, 1):
        recalled(own, FIRST_DAY + timedelta(days=days), at=NOW - timedelta(days=days))
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        found = client.get("/v1/recalls").json()
        since = client.get("/v1/recalls", params={"since": (NOW - timedelta(days=2)).isoformat()})
        zoneless = client.get("/v1/recalls", params={"since": "2024-03-31T00:00:00"})
        wrong = client.get("/v1/recalls", params={"since": "yesterday"})
    assert [recall["at"][:10] for recall in found["recalls"]] == ["2024-04-01", "2024-03-31", "2024-03-30"]
    assert found["recalls"][0] == {
        "at": "2024-04-01T00:00:00Z", "why": "prices in roubles", "days": ["2024-03-02"], "releases": [OTHER],
        "before": OTHER, "current": None, "answers": {OTHER: 12},
    }  # fmt: skip
    assert since.json()["recalls"] == zoneless.json()["recalls"] == found["recalls"][:1]
    assert wrong.status_code == 400


def test_records_that_cannot_be_read_are_named_and_what_was_read_before_stays(own: Home) -> None:
    recalled(own, FIRST_DAY, at=NOW)
    notices = RecallNotices(own, clock=lambda: NOW)
    notices.refresh()
    before = notices.headers({})
    (own.releases / "recalled.json").write_bytes(b"[{]")
    with pytest.raises(BrokenReleaseError, match=r"recalled\.json"):
        notices.refresh()
    assert notices.headers({}) == before
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        problems = lambda: client.get("/health/ready").json()["problems"]  # noqa: E731
        assert wait_for(lambda: "recalls" in problems())
        assert client.get("/v1/popular").status_code == 200


def test_the_header_is_short_whatever_was_recalled(own: Home) -> None:
    recalled(own, *(FIRST_DAY + timedelta(days=2 * n) for n in range(400)), at=NOW)
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        value = client.get("/v1/popular").headers["recall"]
    assert len(value) < 300
    assert " +392" in value


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ([], ""),
        ([date(2024, 1, 1)], "2024-01-01"),
        ([date(2024, 1, 2), date(2024, 1, 1), date(2024, 1, 1)], "2024-01-01..2024-01-02"),
        ([date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 3)], "2024-02-29..2024-03-01 2024-03-03"),
    ],
)  # fmt: skip
def test_days_in_a_row_are_one_span(days: list[date], text: str) -> None:
    assert spans(days) == text


def test_a_page_of_another_origin_may_read_the_header(own: Home) -> None:
    settings = ApiSettings(cors_origins=["https://shop.example"])
    with TestClient(create_app(own, settings=settings)) as client:
        answer = client.get("/v1/popular", headers={"Origin": "https://shop.example"})
    assert "Recall" in answer.headers["access-control-expose-headers"]
