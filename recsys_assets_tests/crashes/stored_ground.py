"""A place where commands are killed whose home is a working copy: the store is there too, and must say the same."""

import shutil
from typing import Any

from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.store_binding import bind
from recsys_assets.storage.table_copy import bring_days
from recsys_assets_tests.crashes.crash_scenarios import Begins
from recsys_assets_tests.crashes.killed_runs import CrashGround, content

STORAGE = """
[storage]
root = "file://{store}"
lease_seconds = 2
"""


class StoredGround(CrashGround):
    """A ground whose home keeps everything in a store beside it."""

    def _make(self, begins: Begins) -> None:
        super()._make(begins)
        if begins == "new":
            with self.home.settings_file.open("a") as settings:
                settings.write(STORAGE.format(store=self.place / "store"))

    def elsewhere(self) -> dict[str, Any]:
        """Return the content of a second machine that had an empty home, with all days brought there."""
        second = Home(self.place / "second")
        shutil.rmtree(second.root, ignore_errors=True)
        bind(
            second,
            {"RECSYS_STORAGE__ROOT": f"file://{self.place / 'store'}", "RECSYS_STORAGE__LEASE_SECONDS": "2"},
        )
        with build_lock(second):
            bring_days(second.root)
        return content(second)
