"""The benchmark of more than one machine: its names, its parts, and the raced promotions on a real server."""

import pytest

from recsys_assets.benchmarks import bench_scale_out
from recsys_assets.benchmarks.bench_scale_out import PARTS, run
from recsys_assets.benchmarks.harness import run_benchmark
from recsys_assets.benchmarks.store_timings import races
from recsys_assets.errors import InputError

FIGURES = {
    "days_per_second", "train_equal", "worker_kill_recovered_seconds", "lost_days", "s3_overhead",
    "replica_follow_seconds", "replica_damaged_refused", "swap_races_won", "postgres_ms_per_event",
    "memory_per_node_share",
}  # fmt: skip


def test_every_figure_is_null_where_no_server_is_installed(monkeypatch, capsys):
    for name in ("missing_ray", "missing_seaweed", "missing_postgres"):
        monkeypatch.setattr(bench_scale_out, name, lambda: "no such server: install it")
    found = run()
    assert {name: found[name] for name in FIGURES} == dict.fromkeys(FIGURES)
    assert capsys.readouterr().err.splitlines() == [
        f"{part}: not measured: no such server: install it" for part in PARTS
    ]


def test_a_part_that_is_none_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="no part s4 of scale_out; there are: days, kill, train, s3, races"):
        run(only=("s3", "s4"))


def test_parts_of_a_benchmark_without_any_are_rejected():
    with pytest.raises(InputError, match="benchmark 'replay' has no --only; leave it out"):
        run_benchmark("replay", only=("s3",))


def test_each_race_for_the_current_release_is_won_by_exactly_one(tmp_path, object_server):
    assert races(tmp_path, object_server, number=5, racers=3) == {"won_by_one": 5, "races": 5, "racers": 3}


@pytest.mark.scale
@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_every_part_of_the_object_store_and_of_postgres_has_a_figure():
    found = run(only=("replica", "postgres"))
    assert found["replica_damaged_refused"] is True
    assert found["replica_follow_seconds"] > 0
    assert found["postgres_ms_per_event"] > 0
