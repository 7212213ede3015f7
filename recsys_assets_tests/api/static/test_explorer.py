"""The explorer page in headless Chromium."""

from collections.abc import Iterator

import pytest

from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.browsing import clean_page, needs_chromium, serious_problems
from recsys_assets_tests.api.servers import Server, running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = needs_chromium

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with running(home) as found:
        yield found


@pytest.fixture
def page(browser: "playwright.Browser", server: Server) -> Iterator["playwright.Page"]:
    """The page of user u1; the test fails where the console has an error or anything comes from elsewhere."""
    with clean_page(browser, server.url, path="/?user=u1") as opened:
        opened.wait_for_selector(".card")
        yield opened


def names(page: "playwright.Page") -> list[str]:
    return page.locator(".card h3").all_inner_texts()


def test_a_user_sees_history_and_recommendations_by_name(page: "playwright.Page") -> None:
    assert len(names(page)) == 12
    assert any(" number " in name for name in names(page))
    reasons = page.locator(".card .why").all_inner_texts()
    assert all(reason.startswith(("goes with ", "fits the whole history", "popular ")) for reason in reasons)
    assert page.locator("#history li").count() == 11


def test_choosing_another_user_by_keyboard_changes_both(page: "playwright.Page") -> None:
    before = page.locator("#history .name").all_inner_texts(), names(page)
    page.keyboard.press("/")
    page.keyboard.type("u2")
    expect(page.locator("#user-options [role=option]").first).to_have_text("u2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#history .name")).not_to_have_text(before[0])
    expect(page.locator(".card h3")).not_to_have_text(before[1])


def test_another_scenario_and_other_settings_change_the_list(page: "playwright.Page") -> None:
    page.select_option("#scenario", "plain")
    expect(page.locator("#scenario-words")).to_contain_text("The best items for the user")
    page.locator("#k").fill("5")
    expect(page.locator(".card")).to_have_count(5)
    with page.expect_response(lambda answer: "diversity=0.8" in answer.url):
        page.locator("#diversity").fill("80")


def test_items_clicked_together_make_a_session(page: "playwright.Page") -> None:
    page.locator(".card >> nth=0").get_by_text("Add", exact=True).click()
    expect(page.locator("#history-title")).to_have_text("In the session (1)")
    page.locator("#item-input").fill("cheese")
    page.locator("#item-options [role=option] >> nth=0").click()
    expect(page.locator("#history-title")).to_have_text("In the session (2)")
    expect(page.locator("#source")).to_contain_text("items of the session")
    expect(page.locator(".card")).to_have_count(12)


def test_why_and_why_not_are_answered(page: "playwright.Page") -> None:
    page.locator(".card >> nth=1").get_by_text("Why?").click()
    page.wait_for_selector("#why[open]")
    assert page.locator("#why-words").inner_text() == "It is at place 2."
    assert page.locator("#funnel li.section").first.inner_text().lower() == "candidates"
    assert "goes with" in page.locator("#why-item").inner_text()
    owned = page.locator("#history .name").first.evaluate("element => element.firstChild.textContent")
    page.locator("#whynot-input").fill(owned)
    page.locator("#whynot-options [role=option] >> nth=0").click()
    expect(page.locator("#why-title")).to_have_text(owned)
    assert "seen" in page.locator("#why-item, #funnel li.dropped").all_inner_texts()[-1]
    page.keyboard.press("Escape")
    assert not page.locator("#why").is_visible()


def test_the_id_of_the_answer_is_below_it_and_one_click_selects_it(page: "playwright.Page") -> None:
    shown = page.locator("#answer").inner_text()
    assert parse_answer_id(shown) is not None
    page.locator("#answer").click()
    assert page.evaluate("getSelection().toString()") == shown
    page.locator("#k").fill("5")
    expect(page.locator(".card")).to_have_count(5)
    expect(page.locator("#answer")).not_to_have_text(shown)


def test_similar_items_are_one_click_away_and_back(page: "playwright.Page") -> None:
    page.locator(".card >> nth=0").get_by_text("Similar").click()
    expect(page.locator("#source")).to_contain_text("Similar items")
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator("#source")).to_contain_text("own history")


def test_releases_and_quality_have_a_tab_each(page: "playwright.Page", home: Home) -> None:
    page.click("#tab-releases")
    page.wait_for_selector("#release-list tr.current")
    assert page.locator("#release-list tbody tr").count() == len(list(home.releases.glob("2*")))
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#attention")).to_contain_text("Nothing has been checked")


def test_a_phone_needs_no_sideways_scrolling(page: "playwright.Page") -> None:
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_light_and_dark_can_be_switched(page: "playwright.Page") -> None:
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


@pytest.mark.parametrize("path", ["/schema", "/schema/scalar"])
def test_the_documentation_works_without_another_host(
    browser: "playwright.Browser", server: Server, path: str
) -> None:
    opened = browser.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(server.url + path)
    opened.get_by_text("Recommendations for a user").first.wait_for()
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
    opened.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_accessibility_problem(
    browser: "playwright.Browser", server: Server, theme: str
) -> None:
    context = browser.new_context(bypass_csp=True, color_scheme=theme, reduced_motion="reduce")
    opened = context.new_page()
    opened.goto(f"{server.url}/?user=u1")
    opened.wait_for_selector(".card")
    found = {"explore": serious_problems(opened)}
    opened.locator(".card >> nth=1").get_by_text("Why?").click()
    opened.wait_for_selector("#why[open]")
    found["why"] = serious_problems(opened)
    opened.keyboard.press("Escape")
    opened.click("#tab-releases")
    opened.wait_for_selector("#release-list tr.current")
    found["releases"] = serious_problems(opened)
    context.close()
    assert found == {"explore": [], "why": [], "releases": []}
