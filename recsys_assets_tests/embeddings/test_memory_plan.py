import re

import numpy as np
import pytest

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.memory_plan import MEGABYTE, PeakWatch, chunk_bytes, chunk_sizes, plan_memory
from recsys_assets.embeddings.training import train
from recsys_assets.errors import MemoryBudgetError
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

LARGE = {"shape": (140_000, 27_000), "entries": 20_000_000, "resident": 300 * MEGABYTE}


def test_raises_when_training_would_exceed_the_budget_and_names_what_would_fit():
    settings = TrainingSettings(memory_budget_mb=700)
    with pytest.raises(MemoryBudgetError, match="20,000,000 pairs") as rejected:
        plan_memory(**LARGE, settings=settings, available=10_000 * MEGABYTE)
    fits = int(re.search(r"embedding_size = (\d+) or", str(rejected.value))[1])
    smaller = TrainingSettings(memory_budget_mb=700, embedding_size=fits)
    assert plan_memory(**LARGE, settings=smaller, available=0).predicted <= 700 * MEGABYTE


def test_without_a_budget_four_fifths_of_what_is_available_may_be_used():
    plan = plan_memory(**LARGE, settings=TrainingSettings(), available=1000 * MEGABYTE)
    assert plan.budget == 1100 * MEGABYTE
    with pytest.raises(MemoryBudgetError):
        plan_memory(**LARGE, settings=TrainingSettings(), available=100 * MEGABYTE)


def test_a_training_run_is_rejected_before_it_starts():
    matrix = InteractionMatrix.from_interactions(block_world())
    with pytest.raises(MemoryBudgetError):
        train(matrix, TrainingSettings(memory_budget_mb=1))


def test_the_watch_sees_memory_that_is_given_back():
    with PeakWatch() as watch:
        before = watch.peak
        block = np.ones(50 * MEGABYTE, dtype=np.uint8)
        watch.measure()
        del block
    assert watch.peak - before > 40 * MEGABYTE


def test_prediction_and_measurement_stand_beside_the_factors():
    matrix = InteractionMatrix.from_interactions(block_world())
    memory = train(matrix, TrainingSettings(embedding_size=4)).memory_mb
    assert memory["measured_peak_mb"] < memory["memory_budget_mb"]
    assert memory["predicted_peak_mb"] > 0


def test_on_a_card_the_plan_holds_against_the_cards_free_memory_and_rejects_in_the_same_words():
    on_card = TrainingSettings(device="cuda")
    figures = {**LARGE, "resident": 0}
    plan = plan_memory(**figures, settings=on_card, available=80_000 * MEGABYTE)
    assert plan.budget == 64_000 * MEGABYTE
    with pytest.raises(
        MemoryBudgetError, match=r"20,000,000 pairs at embedding_size = 64 would need .* set in"
    ):
        plan_memory(**figures, settings=on_card, available=400 * MEGABYTE)


def test_chunks_are_larger_on_a_card_and_fit_its_free_memory():
    assert chunk_sizes("cpu") == (1 << 18, 1 << 19)
    assert chunk_sizes("cuda", free=80_000 * MEGABYTE) == (1 << 24, 1 << 25)
    assert 8 * chunk_bytes(*chunk_sizes("cuda", free=2_000 * MEGABYTE)) <= 2_000 * MEGABYTE
    assert chunk_sizes("cuda", free=0) == chunk_sizes("cpu")
