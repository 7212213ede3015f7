"""The assets `impressions` and `online_metrics`: no stage without impressions, and after a build nothing is stale."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.experiments.online_results import read_results, select
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.instance import build_definitions, open_instance
from recsys_assets.orchestration.jobs import MEASURE_ONLINE
from recsys_assets.orchestration.online_inputs import ONLINE, OnlineInputs, has_impressions
from recsys_assets.orchestration.planning.stages import DagsterHistory, Stages, stage_names
from recsys_assets.orchestration.repair.damage import find_damage, mend
from recsys_assets.settings import load_settings
from recsys_assets_tests.clicking import Visit, store
from recsys_assets_tests.experiments.shown_home import day_of_visits, land_events
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2024, 1, 1)
SHOWN_ON = [date(2026, 1, 1) + timedelta(days=number) for number in range(9)]


@pytest.fixture
def home(tmp_path):
    return small_home(tmp_path / "shop", first=FIRST)[0]


def step(home):
    with open_instance(home) as instance:
        found = Stages(inputs=Inputs(home, load_settings(home)), history=DagsterHistory(instance))
        return found.step(ONLINE)


def measure(home):
    """Run the job, and return its result."""
    with open_instance(home) as instance:
        return build_definitions(home).resolve_job_def(MEASURE_ONLINE).execute_in_process(instance=instance)


def answers(result):
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_a_home_without_impressions_has_no_such_stage_and_the_job_says_so(home):
    assert not has_impressions(home)
    assert ONLINE not in stage_names(load_settings(home), home)
    result = measure(home)
    assert result.success
    (made,) = result.asset_materializations_for_node(ONLINE)
    assert made.metadata["impressions"].value.startswith("none yet")
    assert set(answers(result).values()) == {True}
    assert not home.online_metrics.exists()


def test_a_build_lands_and_measures_once_and_again_when_anything_came(home):
    settings = load_settings(home)
    day_of_visits(home, SHOWN_ON[0])
    assert step(home).assets == ["impressions", "online_metrics"]
    outcome = build(home, settings, SilentWatcher())
    assert outcome.rows[-1].stage in {ONLINE, "prune"}
    assert ONLINE in {row.stage for row in outcome.rows if row.status == "built"}
    assert step(home) is None
    assert not build(home, settings, SilentWatcher()).built
    day_of_visits(home, SHOWN_ON[1])
    assert step(home).why == ["impressions changed"]
    assert [row.stage for row in build(home, settings, SilentWatcher()).rows if row.status == "built"] == [
        ONLINE
    ]
    assert read_results(home.artifact(ONLINE)).days_shown() == SHOWN_ON[:2]


def test_a_late_event_makes_only_the_days_again_whose_answers_it_may_count_for(home):
    for day in (SHOWN_ON[0], SHOWN_ON[0] + timedelta(days=20)):
        day_of_visits(home, day)
    measure(home)
    before = read_results(home.artifact(ONLINE))
    assert {one.value for one in before.days if one.metric == "ctr"} == {0.0}
    land_events(home)
    (event,) = step(home).why
    assert event.startswith("days changed: 2 days")
    made = measure(home).asset_materializations_for_node(ONLINE)[0]
    assert made.metadata["days_made"].value == 2
    assert min(one.value for one in read_results(home.artifact(ONLINE)).days if one.metric == "ctr") > 0
    late = OnlineInputs(Inputs(home, load_settings(home)))
    assert late.of_day(SHOWN_ON[0]) != late.of_day(SHOWN_ON[0] + timedelta(days=20))
    assert measure(home).asset_materializations_for_node(ONLINE)[0].metadata["days_made"].value == 0


def test_the_metadata_compares_groups_and_plots_days_and_positions(home):
    for day in SHOWN_ON[:2]:
        day_of_visits(home, day, arms=("a", "b"))
    land_events(home)
    result = measure(home)
    (made,) = result.asset_materializations_for_node(ONLINE)
    groups = {record.data["group"] for record in made.metadata["compared"].records}
    assert {"all", "plain", "prices/a", "prices/b"} <= groups
    for plot in ("ctr_by_day", "ctr_by_position"):
        assert "data:image/png" in made.metadata[plot].value
    results = read_results(home.artifact(ONLINE))
    (rate,) = [one for one in select(results.period, group_kind="all") if one.metric == "ctr"]
    assert (rate.shown, rate.users) == (80, 40)


def test_a_day_on_which_few_click_and_clicks_on_what_was_not_shown_are_noticed(home):
    lost = []
    for day in SHOWN_ON[:-1]:
        visits = day_of_visits(home, day, liked=0.6)
        lost += [
            event._replace(event_id=f"{event.event_id} lost", item_id=f"lost {event.item_id}")
            for one in visits
            for event in one.events
        ]
    day_of_visits(home, SHOWN_ON[-1], users=200, liked=0.0)
    store(home, [Visit(impressions=[], events=lost)])
    land_events(home)
    assert answers(measure(home)) == {
        "is_every_answer_ours": True,
        "was_what_they_clicked_shown": False,
        "are_lists_reported_shown": True,
        "is_the_ctr_as_usual": False,
    }


def test_the_schedule_requests_a_run_only_where_anything_was_shown(home):
    schedule = build_definitions(home).resolve_schedule_def("measure_yesterday")

    def ask():
        lake = build_definitions(home).resources["lake"]
        with (
            open_instance(home) as instance,
            dg.build_schedule_context(
                instance=instance,
                resources={"lake": lake},
                scheduled_execution_time=datetime(2026, 1, 2, 4, 30, tzinfo=UTC),
            ) as context,
        ):
            return schedule(context)

    assert isinstance(ask(), dg.SkipReason)
    day_of_visits(home, SHOWN_ON[0], users=1)
    assert isinstance(ask(), dg.RunRequest)


def test_a_damaged_day_of_impressions_is_named_and_moved_away_and_its_metrics_stay(home):
    for day in SHOWN_ON[:2]:
        day_of_visits(home, day, users=5)
    measure(home)
    file = impression_store(home).path(SHOWN_ON[0])
    file.write_bytes(b"many letters" * 99)
    settings = load_settings(home)
    (damage,) = [one for one in find_damage(home, settings) if one.path == file]
    assert damage.remedy == "it is moved away; its impressions are lost, its metrics stay"
    lines = list[str]()
    mend(home, settings, lines.append)
    assert any(str(file) in line for line in lines)
    assert measure(home).success
    assert read_results(home.artifact(ONLINE)).days_shown() == SHOWN_ON[:2]
