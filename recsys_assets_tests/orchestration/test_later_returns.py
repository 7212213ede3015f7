"""A return that lands later has the days that it touches cleaned again, and no other."""

from datetime import date, timedelta

import dagster as dg
import msgspec
import polars as pl
import pytest

from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import land
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.instance import build_definitions, open_instance
from recsys_assets.orchestration.jobs import DAILY_INCREMENT, landed_day
from recsys_assets.orchestration.landing_plan import days_to_clean
from recsys_assets.orchestration.partitions import range_tags
from recsys_assets.orchestration.resources import Lake
from recsys_assets.quality.row_account import HomeAccount
from recsys_assets.settings import ReportSettings, Settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher

FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]


@pytest.fixture
def home(tmp_path) -> tuple[Home, Settings]:
    """20 sold pairs on the first day and on the second; on the third, two pieces of the first day come back."""
    sold = [
        {"user_id": f"u{n}", "item_id": f"i{day}", "timestamp": f"{DAYS[day]} 10:{n:02d}:00", "quantity": 2}
        for day in (0, 1)
        for n in range(20)
    ]
    back = [
        {"user_id": f"u{n}", "item_id": "i0", "timestamp": f"{DAYS[2]} 10:{n:02d}:00", "quantity": -1 - n}
        for n in (0, 1)
    ]
    source = tmp_path / "log.csv"
    pl.DataFrame(sold + back).write_csv(source)
    home = Home(tmp_path / "home")
    settings = initialise(home, f"tabular:{source}")
    return home, msgspec.structs.replace(settings, report=ReportSettings(days=0))


def stale(home: Home, settings: Settings) -> list[date]:
    return days_to_clean(Inputs(home, settings))


class Listener(SilentWatcher):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_a_later_return_takes_pieces_off_the_day_of_the_purchase(home):
    place, settings = home
    assert not land(place, settings, SilentWatcher(), DAYS[:2]).failed
    assert stale(place, settings) == []
    watcher = Listener()

    outcome = land(place, settings, watcher, DAYS[2:])

    assert stale(place, settings) == []
    assert [line for line in watcher.said if "again" in line] == [
        "Cleaned again, since returns or settings touch what was cleaned: 1 day, 2024-01-01."
    ]
    first, second, third = (Inputs(place, settings).interaction_store.read(day) for day in DAYS)
    assert (first.height, second.height, third.height) == (19, 20, 0)
    assert first.filter(pl.col("quantity") == 1)["user_id"].to_list() == ["u0"]
    assert outcome.rows_left_out == [
        "Rows: 42 of the source, 39 interactions, 3 left out or joined:",
        "  3 returned, or a return (returned): user_id='u1' item_id='i0' 2024-01-01 10:01:00 quantity=2",
    ]
    kept = msgspec.json.decode(place.row_account.read_bytes(), type=HomeAccount)
    assert kept.in_words() == outcome.rows_left_out


def test_after_the_daily_job_the_sensor_requests_the_days_that_its_returns_touch(home):
    place, settings = home
    assert not land(place, settings, SilentWatcher(), DAYS[:2]).failed
    definitions, lake = build_definitions(place), Lake(home_path=str(place.root))
    sensor = landed_day(settings.source)

    with open_instance(place) as instance:

        def run(request: dg.RunRequest) -> None:
            job = definitions.resolve_job_def(DAILY_INCREMENT)
            job.execute_in_process(
                instance=instance, tags=dict(request.tags), asset_selection=request.asset_selection
            )

        run(dg.RunRequest(tags=range_tags(DAYS[2], DAYS[2])))
        assert stale(place, settings) == DAYS[:1]
        (request,) = sensor(dg.build_sensor_context(), lake=lake)
        assert request.asset_selection == [dg.AssetKey("interactions"), dg.AssetKey("increment_report")]
        run(request)

    assert stale(place, settings) == []
    assert isinstance(sensor(dg.build_sensor_context(), lake=lake), dg.SkipReason)
