"""The Releases tab: releases and their state, moves with who and why, and two releases compared, golden users too."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recsys_assets.evaluation.evaluated_users import EvaluatedUsers
from recsys_assets.release.gate_report import GateReport, GateResult, write_gate
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.browsing import clean_page, needs_chromium, serious_problems
from recsys_assets_tests.api.servers import Server, running
from recsys_assets_tests.api.world import LAST_DAY, make_home, publish_release

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = needs_chromium

NOW = datetime(2024, 4, 2, 9, 30, tzinfo=UTC)
GOLDEN = """
[[golden]]
user = "u3"
scenario = "plain"
k = 5
least_overlap = 0.0

[[golden]]
user = "u1"
k = 4
must = ["i1"]
"""
RULES = """
version = 1
default = "plain"

[scenarios.plain]

[[scenarios.plain.candidates]]
source = "user"
quota = 300

[[scenarios.plain.filters]]
kind = "seen"
"""


def evaluated(folder: Path, ndcg: float, rules: str) -> Path:
    """Write the files of an evaluation of the same 40 users, and the rules of the release."""
    folder.mkdir()
    values = (ndcg + 0.1 * np.sin(np.arange(40))).tolist()
    row = {"model": "ials", "metric": "ndcg", "value": ndcg, "low": ndcg - 0.02, "high": ndcg + 0.02}
    rows = [{**row, "k": k, "users": 40} for k in (10, 20)]
    (folder / "evaluation.json").write_bytes(msgspec.json.encode(rows))
    EvaluatedUsers(
        first_day=LAST_DAY,
        last_day=LAST_DAY,
        user_ids=[f"u{num}" for num in range(40)],
        ndcg={"ials": values},
        recall={"ials": values},
    ).save(folder)
    (folder / "rules.toml").write_text(rules, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, list[str]]:
    """A home with two releases that were served and a candidate that failed; ids oldest first."""
    root = tmp_path_factory.mktemp("releases")
    home, store = Home(root / "home"), ReleaseStore(root / "home" / "releases", clock=lambda: NOW)
    other = RULES.replace("quota = 300", "quota = 200")
    one = publish_release(home, evaluation=evaluated(root / "one", 0.4, RULES))
    two = publish_release(home, seed=1, evaluation=evaluated(root / "two", 0.5, RULES), promote=False)
    three = publish_release(home, evaluation=evaluated(root / "three", 0.3, other), promote=False)
    store.promote(two, who="ada", why="better by <b>a tenth</b>")
    store.rollback(who="bob")
    result = GateResult(name="held_out", passed=False, value=-0.25, bound=-0.02, detail="a quarter worse")
    passed = GateResult(name="index_recall", passed=True, detail="fine")
    report = GateReport(release=three, against=one, at=NOW, passed=False, results=[passed, result])
    write_gate(home.releases, report)
    home.golden_file.write_text(GOLDEN, encoding="utf-8")
    return home, [one, two, three]


@pytest.fixture(scope="module")
def server(made: tuple[Home, list[str]]) -> Iterator[Server]:
    with running(made[0]) as found:
        yield found


@pytest.fixture
def page(browser: "playwright.Browser", server: Server) -> Iterator["playwright.Page"]:
    """The opened tab with its comparison; the test fails where the console has an error."""
    with clean_page(browser, server.url) as opened:
        _open(opened)
        yield opened


def _open(page: "playwright.Page") -> None:
    page.click("#tab-releases")
    expect(page.locator("#comparison .tile").first).to_be_visible(timeout=30_000)


def _part(page: "playwright.Page", title: str) -> "playwright.Locator":
    return page.locator("#comparison .part").filter(has=page.get_by_role("heading", name=title, exact=True))


def test_each_release_has_its_state_the_newest_first(
    page: "playwright.Page", made: tuple[Home, list[str]]
) -> None:
    one, two, three = made[1]
    rows = page.locator("#release-list tbody tr")
    expect(rows.locator("th")).to_have_text([three, two, one])
    expect(rows.locator("td:nth-child(2)")).to_have_text(["failed the gate", "", "current"])


def test_a_candidate_that_failed_says_why(page: "playwright.Page", made: tuple[Home, list[str]]) -> None:
    one, _, three = made[1]
    cards = page.locator("#candidate-list > li")
    expect(cards).to_have_count(1)
    expect(cards.locator("p")).to_have_text(f"{three} · failed the gate · compared with {one}")
    expect(cards.locator("li")).to_have_text(["held out: a quarter worse"])


def test_history_says_who_moved_what_when_and_why(
    page: "playwright.Page", made: tuple[Home, list[str]]
) -> None:
    one, two, _ = made[1]
    moves = page.locator("#moves li")
    expect(moves).to_have_count(3)
    expect(moves.nth(0)).to_have_text(f"2024-04-02 09:30 · rolled back by bob{two} → {one}")
    expect(moves.nth(1)).to_have_text(
        f"2024-04-02 09:30 · promoted by ada{one} → {two}better by <b>a tenth</b>"
    )
    expect(moves.nth(2)).to_contain_text(f"promotednothing → {one}")


def test_it_opens_with_the_current_release_beside_the_newer_candidate(
    page: "playwright.Page", made: tuple[Home, list[str]]
) -> None:
    one, _, three = made[1]
    expect(page.locator("#comparison-words")).to_have_text(f"From {one} to {three}.")
    expect(page.locator(".tile").first).to_contain_text("NDCG@10−0.1000−0.1000 to −0.1000 on 40 users: worse")
    metrics = _part(page, "Metrics on held-out days").locator("tbody tr")
    expect(metrics.first.locator("th, td")).to_have_text(
        ["NDCG@10", "0.40000.3800 to 0.4200", "0.30000.2800 to 0.3200", "−0.1000−0.1000 to −0.1000", ""]
    )
    expect(_part(page, "Rules").locator("li")).to_have_text("editedplain · candidates · userquota300 → 200")
    expect(_part(page, "Lists of users, without rules")).to_contain_text("No compared user gets other items")


def test_any_two_can_be_chosen_and_swapped_by_keyboard(
    page: "playwright.Page", made: tuple[Home, list[str]]
) -> None:
    one, two, three = made[1]
    page.locator("#compare-after").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#comparison-words")).to_have_text(f"From {one} to {two}.")
    expect(_part(page, "Settings and model").locator("dl")).to_have_text("training.seed0 → 1")
    examples = _part(page, "Lists of users, without rules").locator(".examples > li")
    expect(examples).to_have_count(5)
    expect(examples.first.locator(".names-new li").first).to_contain_text(" number ")
    page.locator("#compare-swap").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#comparison-words")).to_have_text(f"From {two} to {one}.")
    expect(_part(page, "Settings and model").locator("dl")).to_have_text("training.seed1 → 0")
    assert page.locator("#compare-after").input_value() == one
    assert three in page.locator("#compare-after").inner_text()


def test_golden_users_are_side_by_side(page: "playwright.Page", made: tuple[Home, list[str]]) -> None:
    one, _, three = made[1]
    users = _part(page, "Golden users").locator(".golden > li")
    expect(users).to_have_count(2)
    expect(users.nth(0)).to_contain_text("plain · as expected · 100 % in common")
    expect(users.nth(0).locator("h5")).to_have_text([one, three])
    expect(users.nth(0).locator("ol li")).to_have_count(10)
    expect(users.nth(1)).to_contain_text("not as expected")
    expect(users.nth(1)).to_contain_text("expected i1 (Coffee number 1) in the list; it is not")


def test_one_release_has_nothing_to_compare_with(browser: "playwright.Browser", tmp_path: Path) -> None:
    with running(make_home(tmp_path)) as alone, clean_page(browser, alone.url) as opened:
        opened.click("#tab-releases")
        expect(opened.locator("#release-list tbody tr")).to_have_count(1)
        expect(opened.locator("#moves li")).to_have_count(1)
        expect(opened.locator("#compare")).to_be_hidden()
        expect(opened.locator("#candidates")).to_be_hidden()


def test_a_comparison_that_fails_says_why(
    browser: "playwright.Browser", server: Server, made: tuple[Home, list[str]]
) -> None:
    home, (_, two, _) = made
    opened = browser.new_page()
    opened.goto(server.url)
    _open(opened)
    hidden = (home.releases / two).rename(home.releases / f".{two}")
    opened.select_option("#compare-after", two)
    expect(opened.locator("#comparison-words")).to_contain_text(f"no release '{two}' is kept here")
    expect(opened.locator("#comparison")).to_be_empty()
    hidden.rename(home.releases / two)
    opened.close()


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
    _open(opened)
    found = [serious_problems(opened)]
    opened.select_option("#compare-after", index=1)
    expect(opened.locator(".examples > li").first).to_be_visible()
    found.append(serious_problems(opened))
    context.close()
    assert found == [[], []]
