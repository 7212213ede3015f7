"""A plan of a home that was never built, staged or too large to stage."""

from datetime import timedelta

import pytest

from recsys_assets.orchestration.planning import plan as planning
from recsys_assets.orchestration.planning.build_plan import BuildPlan, ProposedChange
from recsys_assets.orchestration.planning.stages import stage_names
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import small_home
from recsys_assets_tests.orchestration.planning.shops import FIRST

DAYS = [FIRST + timedelta(days=n) for n in range(3)]


@pytest.fixture
def home(tmp_path) -> Home:
    return small_home(tmp_path / "shop", first=FIRST, days=len(DAYS))[0]


def planned(home: Home, **proposal: object) -> BuildPlan:
    with planning.planned(home, ProposedChange(**proposal)) as staged:
        return staged.plan


def days_of(plan: BuildPlan) -> dict[str, list]:
    return {step.stage: step.days for step in plan.steps}


def test_all_of_a_new_home_is_planned_and_nothing_of_it_is_there(home):
    before = {file.name for file in home.root.iterdir()}
    plan = planned(home)
    assert [step.stage for step in plan.steps] == stage_names(load_settings(home), home)
    assert days_of(plan)["raw_interactions"] == days_of(plan)["interactions"] == DAYS
    assert len(plan.verdicts) == 2 * len(DAYS)
    assert not any(step.measured for step in plan.steps)
    assert days_under(home.raw) == []
    assert {file.name for file in home.root.iterdir()} - before <= {"scratch", ".build.lock"}


def test_no_day_after_the_one_given_is_landed(home):
    assert days_of(planned(home, through=DAYS[1]))["interactions"] == DAYS[:2]


def test_too_many_days_are_not_staged_and_all_that_follows_is_listed(home, monkeypatch):
    monkeypatch.setattr(planning, "_MOST_DAYS", 2)
    plan = planned(home)
    assert plan.not_staged == len(DAYS)
    assert plan.verdicts == []
    assert [step.stage for step in plan.steps] == stage_names(load_settings(home), home)
    assert days_of(plan)["interactions"] == DAYS
