import numpy as np
import polars as pl
import pytest

from recsys_assets.benchmarks import bench_variants
from recsys_assets.benchmarks.datasets import BenchmarkSet
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation.held_out import random_split, time_split
from recsys_assets.training_settings import SoftmaxSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SETTINGS = TrainingSettings(
    model="softmax", embedding_size=8, softmax=SoftmaxSettings(epochs=6, batch_users=20, sampled_items=30)
)


def test_a_split_is_measured_with_its_size_and_time():
    split = random_split(
        InteractionMatrix.from_interactions(block_world(share=0.8)), held_out_share=0.2, seed=0
    )
    found = bench_variants.measure(split, SETTINGS)
    assert found["recall20"] > 0.8
    assert found["embedding_size"] == 8


def test_a_blend_is_measured_beside_its_parts_on_a_published_split(tmp_path):
    pairs = block_world(share=0.8).select("user_id", "item_id").unique(maintain_order=True).collect()
    rows = pairs.select(
        user=pl.col("user_id").str.slice(1).cast(pl.Int32),
        item=pl.col("item_id").str.slice(1).cast(pl.Int32),
        split=pl.Series(np.random.default_rng(0).choice(["train", "test"], pairs.height, p=[0.8, 0.2])),
    )
    rows.write_parquet(tmp_path / "blocks.parquet")
    found = bench_variants.refine(
        file=tmp_path / "blocks.parquet", embedding_size=8, options=SETTINGS.softmax
    )
    assert found["chosen"]["model"] == "softmax+item_item"
    assert found["seconds"] > found["softmax"]["seconds"] + found["item_item"]["seconds"]
    assert min(found["recall20"], found["softmax"]["recall20"], found["item_item"]["recall20"]) > 0.8


def test_each_change_is_measured_against_the_run_where_nothing_is_changed(monkeypatch):
    split = time_split(block_world(share=0.7), held_out_share=0.3)
    monkeypatch.setitem(
        bench_variants.SETS, "blocks", lambda: BenchmarkSet(name="blocks", validation=split, test=split)
    )
    (found,) = bench_variants.ablation(names=["blocks"], changes=["half the dimensions"])["sets"]
    nothing, half = found["changes"]
    assert (nothing["change"], nothing["ndcg_ratio"]) == ("nothing", 1.0)
    assert half["settings"] == {"embedding_size": 32}
    assert half["ndcg_ratio"] == pytest.approx(half["ndcg20"] / nothing["ndcg20"])


@pytest.mark.parametrize("change", bench_variants.CHANGES)
def test_every_change_is_of_a_setting(change):
    assert (TrainingSettings(**bench_variants.CHANGES[change]) != TrainingSettings()) == (change != "nothing")
