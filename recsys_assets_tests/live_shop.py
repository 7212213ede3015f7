"""A made shop for a story: a history, a month to stream, planted tastes, and a server whose clock is simulated."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from click.testing import CliRunner
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.http.auth import add_key
from recsys_assets.cli import main
from recsys_assets.experiments.activity import activity_of
from recsys_assets.experiments.experiments_file import Experiment
from recsys_assets.experiments.impression_days import land_impressions
from recsys_assets.experiments.judgement import judge
from recsys_assets.experiments.measure_online import measure_online
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.online_inputs import ONLINE, OnlineInputs
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.clicking import Visit, browse

FIRST = date(2024, 1, 1)
HISTORY = 20
"""Days of the history."""
MONTH = [FIRST + timedelta(days=HISTORY + number) for number in range(30)]
"""The days that are streamed."""
USERS, TASTES, ITEMS, ROWS = 300, 6, 480, 150
"""Users, groups of items of which each user likes one, items, rows of the source a day."""
LIKED, OTHER = 0.08, 0.02
"""Probability of a click on an item that is looked at: of the user's own group, and of another one."""
VISITORS = 60
"""Users a day who see a list."""
SETTINGS = """
[report]
days = 0

[gate]
smoke_test = false

[training]
model = "ials"
embedding_size = 8
"""


def attracts(user_id: str, item_id: str) -> float:
    """Return the planted taste: a user likes the items whose number has the same remainder."""
    return LIKED if int(user_id[1:]) % TASTES == int(item_id[1:]) % TASTES else OTHER


def rows_of(day: date) -> pl.DataFrame:
    """Return the rows of the source on a day, 9 of 10 by taste."""
    rng = np.random.default_rng([11, day.toordinal()])
    users = rng.integers(USERS, size=ROWS)
    groups = np.where(rng.random(ROWS) < 0.9, users % TASTES, rng.integers(TASTES, size=ROWS))
    items = groups + TASTES * rng.integers(ITEMS // TASTES, size=ROWS)
    start = datetime.combine(day, time(8), UTC)
    return pl.DataFrame(
        {
            "user_id": [f"u{number}" for number in users],
            "item_id": [f"i{number}" for number in items],
            "kind": np.where(rng.random(ROWS) < 0.3, "purchase", "view"),
            "timestamp": [
                f"{start + timedelta(seconds=int(second)):%Y-%m-%dT%H:%M:%SZ}"
                for second in np.sort(rng.integers(36_000, size=ROWS))
            ],
        }
    )


class Shop:
    """A home, its source, and the commands that are typed there."""

    def __init__(self, folder: Path) -> None:
        """Write the history, and the month in a file of its own."""
        self.home = Home(folder / "home")
        self.source, self.live = folder / "shop.csv", folder / "month.csv"
        pl.concat(rows_of(FIRST + timedelta(days=number)) for number in range(HISTORY)).write_csv(self.source)
        pl.concat(map(rows_of, MONTH)).write_csv(self.live)

    def type(self, *arguments: str) -> str:
        """Run `recsys ARGUMENTS`, and return its output."""
        done = CliRunner().invoke(main, [*arguments, "--home", str(self.home.root)])
        assert done.exit_code == 0, f"{arguments}: {done.output}{done.exception!r}"
        return done.output

    def stream(self, day: date) -> None:
        """Play one day of the month."""
        self.type("stream", "--source", f"tabular:{self.live}", "--from", f"{day}", "--to", f"{day}")

    def export(self, *extra: Mapping[str, str]) -> None:
        """Append the month, and rows beside it, to the source, as a nightly export does."""
        rows = [pl.concat(map(rows_of, MONTH)), *([pl.DataFrame(extra)] if extra else [])]
        with self.source.open("a") as file:
            file.write(pl.concat(rows).sort("timestamp").write_csv(include_header=False))

    def look(self, now: datetime) -> dict[str, list[str]]:
        """Land impressions, measure, and look at the experiments; return each one's verdicts."""
        home, settings = self.home, load_settings(self.home)
        days = settings.events.attribution_days
        land_impressions(home, keep_days=settings.events.keep_days, now=now)
        online = OnlineInputs(Inputs(home, settings))
        measure_online(
            home,
            home.artifact(ONLINE),
            provenance=online.provenance,
            attribution_days=days,
            catalogue_items=online.catalogue_items,
            now=now,
        )

        def days_of(experiment: Experiment, through: date) -> pl.DataFrame:
            return activity_of(home, experiment, through, attribution_days=days)

        judged = judge(home, now, days_of=days_of, late_days=days)
        return {one.result.name: [arm.verdict for arm in one.result.days[-1].arms] for one in judged}


class Clock:
    """The simulated time."""

    def __init__(self, now: datetime) -> None:
        """Stand still at `now`."""
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def sign_in(shop: Shop, client: TestClient[Litestar], now: datetime) -> None:
    """Give a client a key that may write."""
    client.headers["X-API-Key"] = add_key(shop.home, name="shop", scopes=["write"], now=now)[1]
    client.app.state.service.keys.refresh()


def visits_of(client: TestClient[Litestar], day: date, *, scenario: str | None) -> list[Visit]:
    """Have the day's visitors see a list at noon, click and buy by their tastes, and report it."""
    rng = np.random.default_rng([13, day.toordinal()])
    visitors = [f"u{number}" for number in sorted(rng.choice(USERS, VISITORS, replace=False))]
    noon = datetime.combine(day, time(12 if scenario is None else 15), UTC)
    return browse(
        client,
        visitors,
        at=noon,
        attracts=attracts,
        seed=day.toordinal() * 2 + bool(scenario),
        scenario=scenario,
    )


def items_of(client: TestClient[Litestar], user_id: str, **params: Any) -> list[str]:
    """Return the items of a user's list."""
    answer = client.get(f"/v1/users/{user_id}/recommendations", params=params)
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]
