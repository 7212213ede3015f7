import psutil
import pytest

from recsys_assets.embeddings.shard_memory import (
    largest_shard_bytes,
    plan_shard,
    require_room_here,
    shard_bytes,
)
from recsys_assets.errors import MemoryBudgetError
from recsys_assets.storage.peak_memory import MEGABYTE
from recsys_assets.training_settings import TrainingSettings

SHAPE, ENTRIES = (3_000_000, 50_000), 12_000_000


def test_a_process_of_two_needs_little_more_than_half():
    one, two = (largest_shard_bytes(SHAPE, ENTRIES, 64, shards=shards) for shards in (1, 2))
    assert 0.5 < two / one < 0.55


def test_items_are_in_every_process():
    items = 4 * 64 * SHAPE[1]
    assert largest_shard_bytes(SHAPE, ENTRIES, 64, shards=4_096) > items


def test_where_vectors_are_few_sorting_the_entries_takes_the_most():
    assert shard_bytes((100, 100), 50_000_000, 1) > 20 * 50_000_000


def test_a_rejected_process_names_more_shards():
    settings = TrainingSettings(memory_budget_mb=500)
    with pytest.raises(
        MemoryBudgetError, match=r"one of 2 training processes.*set shards = 4 in \[launcher\]"
    ):
        plan_shard(SHAPE, ENTRIES, settings, shards=2)


def test_a_process_within_its_budget_has_a_plan():
    plan = plan_shard((100, 100), 1_000, TrainingSettings(memory_budget_mb=100_000), shards=2)
    assert plan.predicted < plan.budget == 100_000 * MEGABYTE


def test_all_processes_of_a_machine_are_held_against_its_budget():
    resident = psutil.Process().memory_info().rss // MEGABYTE
    settings = TrainingSettings(memory_budget_mb=resident + 2_100)
    require_room_here(SHAPE, ENTRIES // 10, settings, shards=1)
    with pytest.raises(MemoryBudgetError, match="2 training processes on this machine"):
        require_room_here(SHAPE, ENTRIES, settings, shards=2)
