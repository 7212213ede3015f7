"""The smallest sources become a release that answers and says what is missing."""

from pathlib import Path

import msgspec
import pytest

from recsys_assets.api.serving.answers import recommend_by_rules, recommend_once
from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.build_outcome import BuildOutcome
from recsys_assets.release.current import read_current
from recsys_assets.settings import ReportSettings, load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher

HEADER = "user_id,item_id,timestamp"


def spread(rows: int, *, days: int, extra: str = "") -> list[str]:
    """Return events of 9 users and 11 items, evenly over the days."""
    return [
        f"u{n % 9},i{n * 5 % 11},2024-01-{1 + n * days // rows:02d} 10:{n % 60:02d}:00{extra}"
        for n in range(rows)
    ]


SOURCES = {
    "one row": (HEADER, ["u1,i1,2024-01-01"]),
    "one event a user": (HEADER, [f"u{n},i{n % 9},2024-01-{1 + n // 10:02d}" for n in range(60)]),
    "one user": (HEADER, [f"u1,i{n},2024-01-01" for n in range(8)]),
    "one item": (HEADER, [f"u{n},i1,2024-01-01" for n in range(8)]),
    "two days": (HEADER, spread(60, days=2)),
    "one second": (HEADER, [f"u{n % 9},i{n * 5 % 11},2024-01-01 10:00:00" for n in range(60)]),
    "three by three": (
        HEADER,
        [f"u{user},i{item},2024-01-0{1 + user}" for user in range(3) for item in range(3)],
    ),
    "one rating": (f"{HEADER},rating", spread(60, days=3, extra=",3")),
    "only views": (f"{HEADER},kind", spread(60, days=3, extra=",view")),
}
"""Header and rows."""
SAID = {
    "one row": "1 day: no split by time, so nothing was measured",
    "one event a user": "none of the interactions is of a known user and item; so nothing was measured",
    "two days": "2 days: no split by time, so nothing was measured",
    "three by three": "none of the interactions is of a known user and item; so nothing was measured",
}
FAST = {"one row"}


def built(folder: Path, header: str, rows: list[str]) -> tuple[Home, BuildOutcome]:
    (folder / "events.csv").write_text("\n".join([header, *rows]) + "\n")
    home = Home(folder / "home")
    initialise(home, f"tabular:{folder / 'events.csv'}")
    settings = msgspec.structs.replace(load_settings(home), report=ReportSettings(days=0))
    return home, build(home, settings, SilentWatcher())


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in SOURCES]
)
def test_a_small_source_is_released_and_says_what_is_missing(tmp_path, name):
    home, outcome = built(tmp_path, *SOURCES[name])

    assert not outcome.failed, [row.detail for row in outcome.rows]
    assert read_current(home.releases) is not None
    assert SAID.get(name, "measure") in outcome.model
    for user in ("u1", "a stranger"):
        found = recommend_once(home, user, 5)
        assert found.items or user == "u1"  # one who has everything has no list
        assert recommend_by_rules(home, user, 5, scenario=None, explain=False).items or not found.items


def test_a_source_of_dislikes_alone_says_in_one_line_that_there_is_nothing_to_learn(tmp_path):
    home, outcome = built(tmp_path, f"{HEADER},kind", spread(60, days=3, extra=",dislike"))
    (failed,) = (row.detail for row in outcome.rows if row.status == "failed")

    assert failed.startswith("none of the interactions is a wish, nothing to learn from")
    assert "[interactions] kinds" in failed
    assert "\n" not in failed
    assert not home.releases.exists()
