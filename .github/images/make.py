"""Take the README's screenshots from the running product: `python .github/images/make.py`.

Builds 60 days of the embedded default in a temporary home, serves it, and writes `explorer.png` and `lineage.png`
beside this file, at most 200 KB each. It needs the `dev` extra, Chromium, and about two minutes.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

FOLDER = Path(__file__).parent
DAYS = 60
USER = "1"
GROUPS = ("embeddings", "features", "index", "interactions", "lake", "online", "release", "serving")
LARGEST = 200_000
"""Bytes of an image, at most."""
_COLOURS = 128
_MARGIN = 12
_PATIENCE_SECONDS = 900
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]


def main() -> None:
    """Start the product, take both images, stop it."""
    with product() as (api, dagster), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        take_explorer(browser, api)
        take_lineage(browser, dagster)
        browser.close()


@contextmanager
def product() -> Iterator[tuple[str, str]]:
    """Run `recsys up` on free ports; yield the addresses of the API and of the Dagster UI."""
    with tempfile.TemporaryDirectory(prefix="recsys-images-") as folder:
        ports = _free_port(), _free_port()
        command = [sys.executable, "-m", "recsys_assets", "up", "--home", str(Path(folder, "home"))]
        command += ["--days", str(DAYS), "--port", str(ports[0]), "--dagster-port", str(ports[1])]
        with subprocess.Popen(command, env={**os.environ, "NO_COLOR": "1"}) as process:  # noqa: S603  our own command
            try:
                api, dagster = (f"http://127.0.0.1:{port}" for port in ports)
                _wait_until_ready(f"{api}/health/ready", process)
                _wait_until_ready(f"{dagster}/server_info", process)
                yield api, dagster
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)


def take_explorer(browser: Browser, api: str) -> None:
    """Photograph the explorer page: a user's history and recommendations, by name and with their reasons."""
    page = browser.new_page(
        viewport={"width": 1280, "height": 760}, color_scheme="light", reduced_motion="reduce"
    )
    page.goto(f"{api}/?user={USER}")
    page.wait_for_selector(".card .why")
    page.wait_for_selector("#history li")
    page.wait_for_timeout(1_000)
    _save(page, "explorer.png")


def take_lineage(browser: Browser, dagster: str) -> None:
    """Photograph the whole lineage graph of the Dagster UI, every group expanded, without the panels around it."""
    page = browser.new_page(viewport={"width": 2200, "height": 2000}, color_scheme="light")
    opened = "%2C".join(f"global%40global%3A{group}" for group in GROUPS)
    page.goto(f"{dagster}/asset-groups?expanded={opened}")
    page.get_by_text("recommendation_api").first.wait_for(timeout=60_000)
    page.wait_for_timeout(5_000)
    boxes = [box for node in page.locator("foreignObject").all() if (box := node.bounding_box())]
    left, top = (min(box[side] for box in boxes) - _MARGIN for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + _MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
    _save(page, "lineage.png", clip={"x": left, "y": top, "width": right - left, "height": bottom - top})


def _save(page: Page, name: str, *, clip: FloatRect | None = None) -> None:
    page.screenshot(path=FOLDER / name, clip=clip)
    with Image.open(FOLDER / name) as image:
        fewer = image.convert("RGB").quantize(_COLOURS)
    fewer.save(FOLDER / name, optimize=True)
    size = (FOLDER / name).stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{name}: {size:,} bytes, more than {LARGEST:,}; choose a smaller viewport")
    page.close()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10):  # noqa: S310  a loopback address
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise SystemExit(f"{url} does not answer; the output above says why")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
