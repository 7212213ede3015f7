import numpy as np
import pytest

from recsys_assets.benchmarks import bench_train
from recsys_assets.benchmarks.peers import fit_in_process, save_split
from recsys_assets.evaluation.held_out import time_split
from recsys_assets_tests.embeddings.worlds import block_world


def fit(model, **figures):
    return {"model": model, "ndcg20": 0.1, "recall20": 0.1, "seconds": 1.0, "peak_rss_mb": 100.0, **figures}


def test_ratios_are_medians_of_ours_over_the_best_peer_and_over_als():
    fits = [
        *(fit("ours", ndcg20=0.3, seconds=seconds, peak_rss_mb=150) for seconds in (1.0, 9.0, 2.0)),
        *(fit("implicit_als", ndcg20=0.1, seconds=4.0) for _ in range(3)),
        fit("implicit_bpr", ndcg20=0.2),
    ]
    chosen = {"ours": {}, "implicit_als": {}, "implicit_bpr": {}}
    found = bench_train.summary("set", chosen, fits, [fit("ours", seconds_to_peer_best=1.0), fit("ours")])
    assert found["best_peer"] == "implicit_bpr"
    assert found["ndcg_ratio"] == pytest.approx(1.5)
    assert found["seconds_ratio"] == pytest.approx(0.5)
    assert found["seconds_to_peer_best_ratio"] == pytest.approx(0.25)
    assert found["memory_ratio"] == pytest.approx(1.5)


def test_a_goal_that_was_never_reached_is_null_not_a_number():
    found = bench_train.summary(
        "set", {"ours": {}, "implicit_als": {}}, [fit("ours"), fit("implicit_als")], [fit("ours")]
    )
    assert found["seconds_to_peer_best_ratio"] is None


def test_a_fit_in_its_own_process_reports_quality_time_and_memory(tmp_path):
    held = np.ones(100_000_000)  # 800 MB that the child must not be charged with
    save_split(tmp_path / "split", time_split(block_world(share=0.7), held_out_share=0.3))
    found = fit_in_process("ours", tmp_path / "split", {"epochs": 3, "until_ndcg20": 0.0})
    assert found["ndcg20"] > 0.3
    assert found["epochs_to_peer_best"] == 1
    assert found["seconds"] > 0
    assert 50 < found["peak_rss_mb"] < held.nbytes / 1e6


def test_a_failed_fit_raises_with_its_error_output(tmp_path):
    with pytest.raises(RuntimeError, match="No such file"):
        fit_in_process("ours", tmp_path, {})


@pytest.mark.parametrize("model", sorted(bench_train.GRIDS))
def test_every_model_is_fitted_with_the_first_settings_of_its_grid(tmp_path, model):
    pytest.importorskip(
        model.split("_")[0] if model != "ours" else "torch", reason="it is in the extra bench"
    )
    save_split(tmp_path / "split", time_split(block_world(share=0.7), held_out_share=0.3))
    found = fit_in_process(model, tmp_path / "split", bench_train.GRIDS[model][0])
    assert found["model"] == model
    assert 0 < found["ndcg20"] <= 1
