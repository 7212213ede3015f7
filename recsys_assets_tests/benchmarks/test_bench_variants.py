import pytest

from recsys_assets.benchmarks import bench_variants
from recsys_assets.benchmarks.datasets import BenchmarkSet
from recsys_assets.evaluation.splits import time_split
from recsys_assets.settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world


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
