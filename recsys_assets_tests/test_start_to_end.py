"""The first view of a new user: `recsys up` on 60 days of the default, its API, its page and the Dagster UI."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import polars as pl
import pytest

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(900)]

ASSETS = [
    "raw_interactions", "item_catalogue", "interactions", "increment_report", "model_choice", "user_embeddings",
    "item_embeddings", "evaluation", "user_features", "item_features", "item_index", "release",
    "recommendation_api",
]  # fmt: skip


@dataclass(frozen=True)
class Running:
    """A started `recsys up`."""

    api: str
    dagster: str
    home: Path
    output: Path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("up")
    home, output = folder / "home", folder / "output"
    port, dagster_port = _free_port(), _free_port()
    command = [sys.executable, "-m", "recsys_assets", "up", "--home", home, "--days", "60"]
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*map(str, command), "--port", str(port), "--dagster-port", str(dagster_port)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
    try:
        started = Running(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dagster_port}", home, output)
        _wait_for(f"{started.api}/health/ready", process, output, seconds=400)
        _wait_for(f"{started.dagster}/server_info", process, output, seconds=120)
        yield started
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) == 0, output.read_text()
    for address in (port, dagster_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", address)) != 0, "a child still listens after Ctrl-C"


def _wait_for(url: str, process: subprocess.Popen[bytes], output: Path, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, output.read_text()
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"{url} did not answer 200 within {seconds} s:\n{output.read_text()}")


def _bought(home: Path, user: str) -> set[str]:
    files = home / "lake" / "interactions" / "*" / "*.parquet"
    frame = pl.scan_parquet(files, hive_partitioning=False).filter(pl.col("user_id") == user)
    return set(frame.select("item_id").unique().collect()["item_id"])


def test_recommendations_have_names_and_nothing_bought_before(running):
    answer = httpx.get(f"{running.api}/v1/users/1/recommendations", params={"k": 5})
    assert answer.status_code == 200
    body = answer.json()
    items = body["items"]
    assert len(items) == 5
    assert all(re.search("[A-Za-z]{3}", item["title"]) for item in items)
    assert not {item["item_id"] for item in items} & _bought(running.home, "1")
    assert body["release"] == httpx.get(f"{running.api}/v1/release").json()["release"]


def test_a_stranger_gets_what_is_popular_and_an_unknown_item_a_problem(running):
    assert httpx.get(f"{running.api}/v1/users/nobody/recommendations").json()["source"] == "popular"
    answer = httpx.get(f"{running.api}/v1/items/no-such-item/similar")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_up_prints_recommendations_by_name(running):
    text = running.output.read_text()
    assert "Recommendations for" in text
    assert "Dagster UI" in text


@pytest.fixture(scope="module")
def browser():
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on this machine: the pages were not looked at")
    from playwright.sync_api import sync_playwright

    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()


def test_the_page_shows_recommendations_by_name(running, browser):
    title = httpx.get(f"{running.api}/v1/users/1/recommendations", params={"k": 1}).json()["items"][0][
        "title"
    ]
    page = browser.new_page()
    problems = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(f"{running.api}/?user=1")
    page.get_by_text(title, exact=False).first.wait_for(timeout=20_000)
    assert not problems
    page.close()


def test_dagster_shows_every_asset_in_the_lineage(running, browser):
    page = browser.new_page(viewport={"width": 4000, "height": 7000})  # the view draws what is in it
    groups = ["embeddings", "features", "index", "interactions", "lake", "release", "serving"]
    opened = "%2C".join(f"global%40global%3A{group}" for group in groups)
    page.goto(f"{running.dagster}/asset-groups?expanded={opened}")
    page.get_by_text("recommendation_api").first.wait_for(timeout=60_000)
    text = page.content()
    assert [asset for asset in ASSETS if asset not in text] == []
    page.close()


def test_dagster_shows_checks_that_passed(running, browser):
    page = browser.new_page(viewport={"width": 1600, "height": 1200})
    page.goto(f"{running.dagster}/assets/item_index?view=checks")
    page.get_by_text("recall_reaches_target").first.wait_for(timeout=60_000)
    page.get_by_text("Passed").first.wait_for(timeout=20_000)
    page.close()
