"""The Live tab: events as they arrive, clicks by arm, experiments with their verdicts, and the item-state editor."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from recsys_assets.api.http.auth import add_key
from recsys_assets.intake.rows import EventRow, ImpressionRow
from recsys_assets.release.load import Release
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.browsing import clean_page, needs_chromium, serious_problems
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.servers import Server, running
from recsys_assets_tests.api.serving.test_live_view import SERIES
from recsys_assets_tests.api.static.live_answers import DAYS, add_experiment
from recsys_assets_tests.intake.stored_rows import store

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def watched(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of its own over the shared release, with a stream under way."""
    own = Home(Path(tmp_path_factory.mktemp("watched")))
    own.releases.symlink_to(home.releases)
    stream = {"day": "2017-03-04", "done": 4, "of": 30, "days_per_second": 0.5, "running": True, "events": 9}
    (own.root / "stream.json").write_text(json.dumps(stream))
    add_experiment(own)
    return own


@pytest.fixture(scope="module")
def server(watched: Home, release: Release) -> Iterator[Server]:
    """A server whose users clicked one of two arms' lists."""
    answers = {
        arm: f"{release.release_id}.19ac5d0f3a2.{digit * 8}1"
        for arm, digit in (("fresh", "1"), ("loud", "2"))
    }
    with closing(sqlite3.connect(watched.answers_db)) as connection, connection:
        connection.execute(SERIES)
        for arm, digit in (("fresh", "1"), ("loud", "2")):
            row = (digit * 8, release.release_id, "plain", "new_ranking", arm, None, 0)
            connection.execute("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    store(watched.events_db, [ImpressionRow(answer, "i5", 1, "user-17", 1, 1) for answer in answers.values()])
    store(watched.events_db, [event("first", answer_id=answers["fresh"])])
    with running(watched) as found:
        yield found


def event(event_id: str, item_id: str = "i5", answer_id: str | None = None) -> EventRow:
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    return EventRow(event_id, "user-17", item_id, "purchase", now, now, answer_id=answer_id)


@contextmanager
def opened(browser: "playwright.Browser", server: Server) -> Iterator["playwright.Page"]:
    """The tab of a page that is connected."""
    with clean_page(browser, server.url) as page:
        page.click("#tab-live")
        expect(page.locator("#live-status")).to_contain_text("Connected to release", timeout=15_000)
        yield page


def test_an_event_appears_by_name_without_the_user_s_id(
    browser: "playwright.Browser", server: Server, watched: Home
) -> None:
    with opened(browser, server) as page:
        expect(page.locator("#live-newest li").first).to_contain_text("Coffee number 5")
        store(watched.events_db, [event("second", "i6")])
        newest = page.locator("#live-newest li").first
        expect(newest).to_contain_text("purchaseBread number 6user use…", timeout=10_000)
        expect(page.locator("#live")).not_to_contain_text("user-17")
        expect(page.locator("#live-rate")).to_have_text("0", timeout=10_000)


def test_clicks_by_arm_and_the_progress_of_a_stream_are_shown(
    browser: "playwright.Browser", server: Server
) -> None:
    with opened(browser, server) as page:
        rows = page.locator("#live-arms tbody tr")
        expect(rows).to_have_text(["freshnew_ranking11100 %", "loudnew_ranking100 %"])
        expect(page.locator("#live-stream")).to_contain_text("Stream2017-03-04")
        expect(page.locator("#live-stream-words")).to_have_text("4 of 30 days, 0.5 days a second")


def test_a_paused_view_stays_as_it_is(browser: "playwright.Browser", server: Server, watched: Home) -> None:
    with opened(browser, server) as page:
        page.click("#live-pause")
        expect(page.locator("#live-pause")).to_have_attribute("aria-pressed", "true")
        store(watched.events_db, [event("third", "i7")])
        page.wait_for_timeout(2_500)
        expect(page.locator("#live-newest")).not_to_contain_text("Cheese number 7")
        page.click("#live-pause")
        expect(page.locator("#live-newest li").first).to_contain_text("Cheese number 7", timeout=10_000)


def test_another_tab_ends_the_view(browser: "playwright.Browser", server: Server) -> None:
    with opened(browser, server) as page, page.expect_event("requestfailed") as failed:
        page.click("#tab-explore")
    assert failed.value.url.endswith("/v1/live")


def test_an_experiment_has_its_verdicts_and_a_curve_for_each_arm(
    browser: "playwright.Browser", server: Server
) -> None:
    with opened(browser, server) as page:
        expect(page.locator("#experiment-verdicts li").first).to_contain_text("fresh is better than control")
        expect(page.locator("#experiment-words")).to_have_text(
            "2024-03-01 to 2024-03-30, decided by click rate; it is over."
        )
        expect(page.locator("#experiment-curve svg")).to_have_count(2)
        curve = page.get_by_role(
            "img", name="fresh: difference from the control +2 %, between +0.8 % and +3.2 %"
        )
        expect(curve.locator("circle")).to_have_count(DAYS - 2)
        page.click("#experiment-days > summary")
        expect(page.locator("#experiment-table tbody tr")).to_have_count(3 * DAYS)


def test_without_experiments_there_is_no_such_part(browser: "playwright.Browser", own: Home) -> None:
    with running(own) as server, opened(browser, server) as page:
        expect(page.locator("#experiments")).to_be_hidden()


@pytest.fixture(scope="module")
def secret(server: Server, watched: Home) -> str:
    """A key that the server knows."""
    found = add_key(watched, name="editor", scopes=["write"], now=NOW)[1]
    end = monotonic() + 20
    while httpx.get(f"{server.url}/v1/items?q=tea", headers={"X-API-Key": found}).status_code != 200:
        assert monotonic() < end
        sleep(0.1)
    return found


def edit(page: "playwright.Page", secret: str) -> None:
    """Open the editor for the fifth item."""
    page.fill("#key-input", secret)
    page.get_by_role("button", name="Use it").click()
    page.fill("#state-input", "coffee number 5")
    page.locator("#state-options li").first.click()
    expect(page.locator("#state-item")).to_have_text("Coffee number 5 (i5)")


def test_the_editor_needs_a_key_which_only_this_tab_keeps(
    browser: "playwright.Browser", server: Server, secret: str
) -> None:
    with opened(browser, server) as page:
        expect(page.locator("#state-editor")).to_be_hidden()
        page.fill("#key-input", secret)
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#state-editor")).to_be_visible()
        assert (
            page.evaluate("[localStorage.length, Object.values(localStorage).includes('secret-key')]")[1]
            is False
        )
        assert "secret-key" not in page.content()
        assert "secret-key" not in page.url
        page.get_by_role("button", name="Forget the key").click()
        expect(page.locator("#state-editor")).to_be_hidden()
        assert page.evaluate("sessionStorage.length") == 0


def state(server: Server, secret: str) -> Any:
    """The state of the fifth item, as the API has it."""
    found = httpx.get(f"{server.url}/v1/items/i5/state", headers={"X-API-Key": secret}).json()["state"]
    return found and {name: value for name, value in found.items() if name in {"hidden", "price", "boost"}}


def test_a_change_needs_a_reason_is_in_the_log_and_can_be_taken_back(
    browser: "playwright.Browser", server: Server, secret: str
) -> None:
    with opened(browser, server) as page:
        edit(page, secret)
        page.check("#state-form [name=hidden]")
        page.fill("#state-form [name=price]", "2.5")
        page.get_by_role("button", name="Save").click()
        assert state(server, secret) is None
        page.fill("#state-form [name=why]", "recalled by the maker")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#state-words")).to_have_text("Saved: hidden, price 2.5.")
        assert state(server, secret) == {"hidden": True, "price": 2.5}
        row = page.locator("#state-log li").first
        expect(row).to_contain_text("as the catalogue says → hidden, price 2.5")
        expect(row).to_contain_text("by editor · item i5")
        expect(row).to_contain_text("recalled by the maker")
        page.fill("#state-form [name=why]", "in stock")
        page.get_by_role("button", name="Take all back").click()
        expect(page.locator("#state-words")).to_have_text("Taken back: as the catalogue says.")
        expect(page.locator("#state-log li").first).to_contain_text("in stock")
        assert state(server, secret) is None


def test_a_change_by_somebody_else_is_in_the_log_at_once(
    browser: "playwright.Browser", server: Server, secret: str
) -> None:
    with opened(browser, server) as page:
        edit(page, secret)
        change = {"boost": 2.0, "why": "a campaign"}
        httpx.put(f"{server.url}/v1/items/i5/state", json=change, headers={"X-API-Key": secret})
        expect(page.locator("#state-log li").first).to_contain_text("a campaign", timeout=10_000)
        httpx.delete(f"{server.url}/v1/items/i5/state?why=over", headers={"X-API-Key": secret})


def test_a_phone_needs_no_sideways_scrolling(
    browser: "playwright.Browser", server: Server, secret: str
) -> None:
    with opened(browser, server) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        edit(page, secret)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_accessibility_problem(
    browser: "playwright.Browser", server: Server, secret: str, theme: str
) -> None:
    context = browser.new_context(bypass_csp=True, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(server.url)
    page.click("#tab-live")
    expect(page.locator("#live-arms tbody tr")).to_have_count(2, timeout=15_000)
    edit(page, secret)
    assert serious_problems(page) == []
    context.close()
