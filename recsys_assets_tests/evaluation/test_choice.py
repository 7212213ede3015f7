import msgspec
import numpy as np
import polars as pl
import psutil
import pytest

from recsys_assets import columns
from recsys_assets.embeddings import item_item
from recsys_assets.embeddings.components import COMPONENTS
from recsys_assets.embeddings.fit_model import fit_model
from recsys_assets.embeddings.memory_plan import MEGABYTE
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.errors import MemoryBudgetError
from recsys_assets.evaluation.choice import choose_model
from recsys_assets.evaluation.held_out import rank, sampled_users, time_split, validation_splits
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.evaluation.model_search import compare
from recsys_assets.training_settings import ScoreSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SETTINGS = TrainingSettings(embedding_size=8, epochs=5)


def fashion_world(*, users=60, days=40, seed=0):
    """Everybody buys the items of the present five days."""
    rng = np.random.default_rng(seed)
    return events(
        [
            (f"u{user:03}", f"i{day // 5}{int(rng.integers(3))}", 1.0, day)
            for user in range(users)
            for day in range(days)
            if rng.random() < 0.4
        ]
    )


@pytest.fixture(scope="module")
def blocks():
    return choose_model(block_world(), SETTINGS)


def test_taste_wins_where_everyone_has_a_taste_of_their_own(blocks):
    assert blocks.spec.model != "popular"
    ndcg = {one.spec.model: one.ndcg for one in blocks.compared}
    assert ndcg[blocks.spec.model] > 2 * ndcg["popular"]


def test_recent_popularity_counts_where_fashion_is_all():
    found = choose_model(fashion_world(), SETTINGS)
    popular = next(one for one in found.compared if one.spec.model == "popular")
    assert popular.spec.prior_half_life_days <= 14
    assert found.spec.prior_weight > 0 or found.spec.model == "popular"


def test_every_component_and_blend_is_compared_best_first(blocks):
    models = [one.spec.model for one in blocks.compared]
    assert sorted(models) == sorted([*COMPONENTS, "ials+item_item", "softmax+item_item", "ials+softmax"])
    values = [one.ndcg for one in blocks.compared]
    assert values == sorted(values, reverse=True)
    assert all(one.low <= one.ndcg <= one.high for one in blocks.compared)


def test_the_same_data_give_the_same_choice(blocks):
    assert choose_model(block_world(), SETTINGS) == blocks


def test_a_choice_is_read_as_it_was_written(blocks, tmp_path):
    blocks.save(tmp_path)
    assert ModelChoice.load(tmp_path) == blocks


def test_a_named_model_is_the_only_one_compared():
    found = choose_model(block_world(), TrainingSettings(model="ials+item_item", embedding_size=8, epochs=5))
    assert [one.spec.model for one in found.compared] == ["ials+item_item"]
    assert found.spec.model == "ials+item_item"


def test_given_parameters_of_the_score_are_kept():
    score = ScoreSettings(prior_half_life_days=11.0, prior_weight=0.3, own_half_life_days=0, first_share=0.7)
    found = choose_model(
        block_world(), TrainingSettings(model="ials+item_item", embedding_size=8, epochs=5, score=score)
    )
    assert found.spec == ModelSpec(
        model="ials+item_item", first_share=0.7, prior_half_life_days=11.0, prior_weight=0.3
    )


def test_the_days_that_the_evaluation_holds_out_are_never_seen():
    world = block_world(days=30)
    cut = time_split(world, held_out_share=0.2).first_held_out_day
    day = pl.col(columns.TIMESTAMP).dt.date()
    without = world.filter(day < cut)
    other = block_world(days=30, seed=5).filter(day >= cut)
    changed = pl.concat([without.collect(), other.collect()]).lazy()
    for split in validation_splits(changed, SETTINGS):
        assert split.first_held_out_day < cut
    assert choose_model(changed, SETTINGS).spec == choose_model(world, SETTINGS).spec


def test_a_log_too_small_to_compare_on_gets_a_model_and_the_reason():
    found = choose_model(events([("u", "a", 1, 0), ("u", "b", 1, 1), ("v", "b", 1, 0)]), SETTINGS)
    assert found.spec.model == "popular"
    assert found.problem == "2 days: no split by time, so nothing was measured"
    assert found.compared == []


def test_a_log_of_one_day_with_enough_users_is_still_personal():
    rows = [(f"u{u}", f"i{(u + i) % 15}", 1, 0) for u in range(20) for i in range(4)]
    found = choose_model(events(rows), SETTINGS)
    assert (found.spec.model, found.problem) == ("ials", "1 day: no split by time, so nothing was measured")


def test_little_time_compares_on_a_sample_of_the_users():
    found = choose_model(block_world(users=200), TrainingSettings(embedding_size=8, choice_seconds=1e-3))
    assert 0 < found.user_share < 1
    assert found.spec.model


def test_the_score_compared_is_the_score_served():
    split = next(validation_splits(block_world(days=30), SETTINGS))
    fitted = {name: one.fit(split.train, SETTINGS) for name, one in COMPONENTS.items()}
    found = compare([split], [fitted], SETTINGS, categories_I=[None])
    users = split.sample_users(most_users=1000, seed=0)
    for one in found.compared:
        score = fit_model(split.train, one.spec, SETTINGS, fitted=dict(fitted)).score()
        served = user_metrics(rank(split.train, users, score, k=20), split.truth, k=20)["ndcg"]
        assert served.mean() == pytest.approx(one.ndcg, abs=0.01)


def test_a_sample_of_users_has_their_rows_and_nothing_else():
    split = time_split(block_world(), held_out_share=0.3)
    sampled = sampled_users(split, 0.25, seed=1)
    assert len(sampled.train.users) == 20
    for num in range(20):
        whole = split.train.users.num(sampled.train.users[num])
        own = slice(*sampled.train.indptr[num : num + 2])
        theirs = slice(*split.train.indptr[whole : whole + 2])
        assert sampled.train.item_nums[own].tolist() == split.train.item_nums[theirs].tolist()


def test_a_component_beyond_the_memory_budget_is_left_out_by_auto_and_an_error_by_name(monkeypatch):
    budget = TrainingSettings(
        embedding_size=8, epochs=5, memory_budget_mb=psutil.Process().memory_info().rss // MEGABYTE + 200
    )
    monkeypatch.setattr(item_item, "DENSE_SIDE", 1)  # item_item foresees the memory of a group of items
    found = choose_model(block_world(), budget)
    assert sorted(one.spec.model for one in found.compared) == ["ials", "ials+softmax", "popular", "softmax"]
    assert "item_item" not in found.spec.components
    for model in ("item_item", "ials+item_item"):
        with pytest.raises(MemoryBudgetError, match="relating 60 items"):
            choose_model(block_world(), msgspec.structs.replace(budget, model=model))


@pytest.mark.parametrize("model", ["auto", "softmax+item_item", "ials+softmax"])
def test_a_given_own_half_life_fits_blends_with_a_component_that_knows_none(model):
    settings = TrainingSettings(
        model=model, embedding_size=8, epochs=3, score=ScoreSettings(own_half_life_days=30.0)
    )
    assert choose_model(block_world(), settings).compared


def test_one_dimension_is_too_small_for_the_softmax_only():
    found = choose_model(block_world(), TrainingSettings(embedding_size=1, epochs=3))
    assert "softmax" not in {name for one in found.compared for name in one.spec.components}


def test_the_choice_is_a_row_of_its_table_and_says_why(blocks):
    assert blocks.spec in [one.spec for one in blocks.compared]
    assert blocks.reason
    assert blocks.in_words().startswith(f"{blocks.spec.model}, NDCG@20 ")


def test_days_without_a_wish_are_no_fault_of_the_log():
    rows = [(f"u{u}", f"i{i}", 1, i) for u in range(6) for i in range(8) if (u + i) % 3]
    later = [(f"u{u}", f"i{u}", 0, day) for u in range(6) for day in range(20, 40)]
    found = choose_model(events(rows + later), SETTINGS)
    assert "wish" in found.problem
