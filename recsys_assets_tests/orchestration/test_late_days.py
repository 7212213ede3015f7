"""Late data: the last days of a source land again whatever the rule for changed days says."""

from datetime import date
from pathlib import Path

import pytest

from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.landing_plan import days_to_request, follow
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.growing_sources import Listener, build, land_stale, set_rule, write


@pytest.fixture
def folder(tmp_path) -> Path:
    """Files of the first, second and fourth of January."""
    folder = tmp_path / "log"
    folder.mkdir()
    for day in (1, 2, 4):
        write(folder, f"{day}", [(day, n) for n in range(59)])
    return folder


@pytest.fixture
def home(folder, tmp_path) -> Home:
    home = Home(tmp_path / "home")
    initialise(home, f"tabular:{folder}/*.csv")
    land_stale(home)
    return home


@pytest.mark.parametrize("rule", ["keep", "reject"])
def test_a_late_day_lands_again_whatever_the_rule_says(home, folder, rule):
    set_rule(home, rule, lookback_days=3)
    write(folder, "2", [(2, 1)])
    landed, said = build(home)

    assert landed == [date(2024, 1, 2)]
    assert said == ["Source: 1 day changed since landing: 2024-01-02 59 -> 1 row; landed again."]
    assert build(home) == ([], [])


def test_a_day_before_the_late_ones_stays_by_the_rule(home, folder):
    set_rule(home, "keep", lookback_days=3)
    for day in (1, 2):
        write(folder, f"{day}", [(day, 1)])
    landed, said = build(home)

    assert landed == [date(2024, 1, 2)]
    assert said[1] == (
        "Source: 1 day changed since landing: 2024-01-01 59 -> 1 row; kept as they landed, by changed_past = "
        '"keep".'
    )
    set_rule(home, "reject")
    follow(home, load_settings(home), Listener(), by_hand=True)  # `recsys land` and `replay` name their days


def test_the_sensor_requests_late_days_only(home, folder):
    set_rule(home, "keep", lookback_days=3)
    for day in (1, 2):
        write(folder, f"{day}", [(day, 1)])
    follow(home, load_settings(home), Listener())

    assert days_to_request(Inputs(home, load_settings(home))) == [date(2024, 1, 2)]
