"""Headless Chromium, and what axe-core finds on a page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_CHROMIUM = shutil.which("chromium")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium on this machine")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A running browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield found
        found.close()


@contextmanager
def clean_page(browser: "Browser", url: str, *, path: str = "/") -> Iterator["Page"]:
    """A page of the server at `url`; fails at its end where the console had an error or a file came from elsewhere."""
    opened = browser.new_page()
    trouble: list[str] = []
    opened.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith(url) else trouble.append(request.url))
    opened.goto(url + path)
    yield opened
    assert trouble == []
    opened.close()


def serious_problems(page: "Page") -> list[str]:
    """Ids of axe-core's rules that the page breaks seriously; its context must bypass the policy for content."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    violations = axe.Axe().run(page).response["violations"]
    return [one["id"] for one in violations if one["impact"] in {"serious", "critical"}]
