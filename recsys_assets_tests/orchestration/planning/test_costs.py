"""Costs of a step, foreseen from the records of earlier builds."""

import msgspec
import pytest

from recsys_assets.lake.follow import follow_source
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.planning.costs import (
    StageCost,
    foresee,
    gate_seconds,
    memory_change,
    read_costs,
    rows_of,
)
from recsys_assets.orchestration.planning.stage_work import Work
from recsys_assets.orchestration.planning.stages import CATALOGUE, BuildStep
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.orchestration.homes import small_home
from recsys_assets_tests.orchestration.planning.shops import FIRST

DEFAULT = Work(training=TrainingSettings())


def record(stage: str = "embeddings", **changed: float) -> StageCost:
    known = StageCost(
        stage=stage, seconds=10.5, start_mb=400, peak_mb=600, written=1_000, rows=1_000, work=1.0
    )
    return msgspec.structs.replace(known, **changed)


def step(stage: str = "embeddings") -> BuildStep:
    return BuildStep(stage=stage, assets=[stage], why=[])


def test_time_memory_and_bytes_grow_with_the_rows_beside_a_fixed_part():
    found = foresee(step(), rows=2_000, work=DEFAULT, costs=[record()])
    assert (found.seconds, found.peak_mb, found.written) == (20.5, 800.0, 2_000)
    assert found.measured


def test_a_record_of_hardly_any_rows_does_not_grow_with_them():
    found = foresee(step(), rows=240, work=DEFAULT, costs=[record(rows=1)])
    assert found.seconds == pytest.approx(10.5, abs=0.01)
    assert found.peak_mb == pytest.approx(600, abs=1)


def test_time_grows_with_the_work_beside_the_rows():
    twice = Work(training=TrainingSettings(epochs=30))
    found = foresee(step(), rows=1_000, work=twice, costs=[record()])
    assert found.seconds == pytest.approx(0.5 + 10 * twice.of("embeddings"))
    again = foresee(step(), rows=1_000, work=twice, costs=[record(work=twice.of("embeddings"))])
    assert again.seconds == pytest.approx(10.5)


def chosen(home: Home, training: TrainingSettings) -> None:
    """Write a choice made by these settings."""
    home.artifact("choice").mkdir(parents=True)
    with making(home.artifact("choice"), inputs="x", parts={"[training]": msgspec.to_builtins(training)}):
        (home.artifact("choice") / "file").touch()


def test_the_gate_fits_the_recipe_before_only_where_recipe_and_days_change(tmp_path):
    home, usual, other = Home(tmp_path), TrainingSettings(), TrainingSettings(epochs=3)
    new_day, release, costs = step("interactions"), step("release"), [record()]
    assert gate_seconds(home, other, [new_day, release], costs) == 0
    chosen(home, usual)
    assert gate_seconds(home, usual, [new_day, release], costs) == 0
    assert gate_seconds(home, other, [release], costs) == 0
    assert gate_seconds(home, other, [new_day], costs) == 0
    assert gate_seconds(home, other, [new_day, release], costs) == pytest.approx(10.5)
    assert gate_seconds(home, TrainingSettings(held_out_share=0.3), [release], costs) == pytest.approx(10.5)


def test_a_wider_model_holds_more_memory_by_the_sizes_of_the_last_training(tmp_path):
    home, usual = Home(tmp_path), TrainingSettings()
    assert memory_change(home, TrainingSettings(embedding_size=512)) == 0
    chosen(home, usual)
    home.artifact("embeddings").mkdir()
    (home.artifact("embeddings") / "training.json").write_text(
        '{"users": 2000, "items": 90000, "entries": 800000, "seconds": 1.0}'
    )
    assert memory_change(home, usual) == 0
    assert memory_change(home, TrainingSettings(embedding_size=128)) > 20
    assert memory_change(home, TrainingSettings(embedding_size=16)) < 0


def test_the_middle_of_the_last_three_records_counts():
    costs = [record(seconds=seconds) for seconds in (90.0, 3.5, 5.5, 30.5)]
    assert foresee(step(), rows=1_000, work=DEFAULT, costs=costs).seconds == 5.5


def test_a_stage_without_a_record_is_a_guess_and_says_so():
    assert not foresee(step("features"), rows=1_000, work=DEFAULT, costs=[record()]).measured


def test_a_record_that_cannot_be_read_is_none(tmp_path):
    home = Home(tmp_path)
    assert read_costs(home) == []
    home.build_costs.write_text("garbage")
    assert read_costs(home) == []


def test_the_catalogue_grows_with_the_source_since_it_is_made_before_any_day_is(tmp_path):
    home, settings = small_home(tmp_path / "shop", first=FIRST, days=2)
    follow_source(home, settings)
    assert Inputs(home, settings).interaction_files == {}
    assert rows_of(Inputs(home, settings), step(CATALOGUE)) == 180
