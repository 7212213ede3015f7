"""The Quality tab: what needs attention in words, then checks by day, and drift as lines for eyes and keyboard."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.row_account import HomeAccount, RowAccount, RowsOfReason
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.browsing import clean_page, needs_chromium, serious_problems
from recsys_assets_tests.api.servers import Server, running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = needs_chromium

DAYS = 20
FIRST = date(2024, 3, 1)
LAST = FIRST + timedelta(days=DAYS - 1)
OF_LAST_DAY = RowAccount(kept=30, reasons={"no_user": RowsOfReason(rows=70, example="user_id=None <i>")})
OF_HOME = OF_LAST_DAY.plus(RowAccount(kept=9))


def results() -> Iterator[CheckResult]:
    """Drift of rows (warns once), of values (rejected at the end, unknown at first), and a check without score."""
    for place in range(DAYS):
        day = FIRST + timedelta(days=place)
        of = {"table": "raw_interactions", "day": day}
        rows = 6.0 if place == 4 else 1.0
        yield CheckResult(
            check="drift_rows", verdict="warn" if rows > 5 else "ok", value=rows, warn_above=5.0, **of
        )
        if place < 7:
            yield CheckResult(check="drift_value_shape", verdict="ok", **of)
        else:
            bad = place == DAYS - 1
            verdict, value, detail = ("block", 60.0, "prices are high") if bad else ("ok", 0.5, "")
            yield CheckResult(
                check="drift_value_shape",
                verdict=verdict,
                value=value,
                warn_above=5.0,
                detail=detail,
                failing_rows=1_200 if bad else 0,
                sample=[{"item_id": "a <b>", "value": 99.5, "rating": None}] if bad else [],
                **of,
            )
        yield CheckResult(check="schema", verdict="ok", **of)


@pytest.fixture(scope="module")
def server(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the shared release whose ledger has something to show."""
    own = Home(Path(tmp_path_factory.mktemp("checked")))
    own.releases.symlink_to(home.releases)
    with Ledger(own.quality_db) as ledger:
        ledger.record(results(), at=datetime(2024, 4, 1, tzinfo=UTC))
        ledger.put_account(LAST, OF_LAST_DAY)
    own.row_account.write_bytes(msgspec.json.encode(HomeAccount(source_rows=109, account=OF_HOME)))
    with running(own) as found:
        yield found


@pytest.fixture
def page(browser: "playwright.Browser", server: Server) -> Iterator["playwright.Page"]:
    """The opened tab with all checks unfolded; the test fails where the console has an error."""
    with clean_page(browser, server.url) as opened:
        _unfold(opened)
        yield opened


def _unfold(page: "playwright.Page") -> None:
    page.click("#tab-quality")
    page.click("#all-checks > summary")
    page.wait_for_selector("#drift-lines button")


def test_the_api_gives_the_threshold_of_each_day(server: Server) -> None:
    checks = {one["check"]: one["days"] for one in httpx.get(f"{server.url}/v1/quality").json()["checks"]}
    assert {day["warn_above"] for day in checks["drift_rows"]} == {5.0}
    assert {day["warn_above"] for day in checks["schema"]} == {None}


def test_the_tab_opens_with_what_needs_attention_the_newest_day_first(
    browser: "playwright.Browser", server: Server
) -> None:
    with clean_page(browser, server.url) as opened:
        opened.click("#tab-quality")
        cards = opened.locator("#attention li")
        expect(cards).to_have_count(2)
        expect(cards.first).to_contain_text(f"{LAST} · raw interactions · rejected")
        expect(cards.first.get_by_role("heading")).to_have_text("How much, at what price?")
        expect(cards.first).to_contain_text("Prices are high.")
        expect(cards.first).to_contain_text("What to do: check currency, unit and sign in the source.")
        expect(cards.first).to_contain_text(f"Look further: recsys quarantine show {LAST}")
        expect(cards.last).to_contain_text(f"Look further: recsys report {FIRST + timedelta(days=4)}")
        expect(opened.locator("#quality-map")).to_be_hidden()


def test_the_failing_rows_are_behind_a_disclosure(browser: "playwright.Browser", server: Server) -> None:
    with clean_page(browser, server.url) as opened:
        opened.click("#tab-quality")
        rows = opened.locator("#attention td")
        expect(rows.first).to_be_hidden()
        opened.get_by_text("1,200 failing rows · 1 check").click()
        expect(opened.locator("#attention th")).to_have_text(["item id", "value", "rating"])
        expect(rows).to_have_text(["a <b>", "99.5", "–"])


@pytest.mark.parametrize(
    ("verdict", "said"), [("ok", "Nothing needs attention"), (None, "Nothing has been checked here yet.")]
)
def test_without_trouble_it_says_so(
    browser: "playwright.Browser", home: Home, tmp_path: Path, verdict: str | None, said: str
) -> None:
    own = Home(tmp_path)
    own.releases.symlink_to(home.releases)
    if verdict is not None:
        with Ledger(own.quality_db) as ledger:
            passed = CheckResult(table="raw_interactions", check="schema", verdict=verdict, day=FIRST)
            ledger.record([passed], at=datetime(2024, 4, 1, tzinfo=UTC))
    with running(own) as quiet, clean_page(browser, quiet.url) as opened:
        opened.click("#tab-quality")
        expect(opened.locator("#attention")).to_contain_text(said)


def test_each_profile_value_with_scores_has_a_line_the_most_unusual_first(page: "playwright.Page") -> None:
    lines = page.locator("#drift-lines button")
    assert lines.locator("b").all_inner_texts() == ["value shape", "rows"]
    assert lines.nth(1).locator("path").get_attribute("d").count("L") == DAYS - 1
    assert lines.nth(1).locator("circle").count() == 1
    assert lines.nth(0).locator("circle.dot-block").count() == 1


def test_a_line_says_its_last_score_threshold_and_warnings(page: "playwright.Page") -> None:
    expect(page.get_by_role("button", name="rows 1 of 5 · 1 warning")).to_have_text(
        f"rows1 of 5 · 1 warning; the last of 20 days is {LAST}, score 1, which warns from 5"
    )
    expect(page.get_by_role("button", name="value shape 60 of 5 · 0 warnings, 1 rejected")).to_be_visible()


def test_the_keyboard_reads_a_line_day_by_day(page: "playwright.Page") -> None:
    page.locator("#drift-lines button").first.focus()
    expect(page.locator("#drift-detail")).to_have_text(
        f"{LAST} · value shape: rejected, score 60, warns from 5. prices are high"
    )
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#drift-detail")).to_contain_text(f"{LAST - timedelta(days=1)} · value shape: passed")
    page.keyboard.press("Home")
    expect(page.locator("#drift-detail")).to_contain_text(f"{FIRST + timedelta(days=7)}")


def test_a_phone_needs_no_sideways_scrolling(page: "playwright.Page") -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_accessibility_problem(
    browser: "playwright.Browser", server: Server, theme: str
) -> None:
    context = browser.new_context(bypass_csp=True, color_scheme=theme, reduced_motion="reduce")
    opened = context.new_page()
    opened.goto(server.url)
    _unfold(opened)
    assert serious_problems(opened) == []
    context.close()


def test_rows_by_reason_are_shown_for_the_home_and_a_day(page: "playwright.Page"):
    page.click("#rows-summary")
    expect(page.locator("#rows-summary")).to_have_text("109 rows of the source, 39 interactions")
    rows = page.locator("#rows-of-home tbody tr")
    expect(rows).to_have_text(["39interactions", "70without a user (no_user)user_id=None <i>"])
    expect(page.locator("#rows-day")).to_have_value(LAST.isoformat())
    expect(page.locator("#rows-of-day tbody tr").first).to_have_text("30interactions")
