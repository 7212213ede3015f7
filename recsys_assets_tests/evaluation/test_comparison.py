import polars as pl
import pytest

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.comparison import (
    SCHEMA,
    better_baselines,
    evaluate,
    evaluate_if_possible,
    evaluate_split,
)
from recsys_assets.evaluation.held_out import time_split
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events


@pytest.fixture(scope="module")
def table():
    return evaluate(block_world(), ModelSpec(model="ials"), TrainingSettings(embedding_size=8)).table


def test_the_factorisation_beats_popularity_in_a_block_world(table):
    ndcg = {
        row["model"]: row["value"]
        for row in table.iter_rows(named=True)
        if (row["metric"], row["k"]) == ("ndcg", 10)
    }
    assert table.schema == SCHEMA
    assert ndcg["ials"] > 2 * ndcg["popularity"]
    assert ndcg["item_knn"] > 2 * ndcg["popularity"]


def test_intervals_hold_the_mean(table):
    bounded = table.drop_nulls("low")
    assert (bounded["low"] <= bounded["value"]).all()
    assert (bounded["value"] <= bounded["high"]).all()


def test_segments_cover_all_users_and_all_thirds_of_the_catalogue():
    split = time_split(block_world(), held_out_share=0.3)
    segments = evaluate_split(split, ModelSpec(model="ials"), TrainingSettings(embedding_size=8)).segments
    ours = segments.filter(model="ials")
    by_history = ours.filter(metric="ndcg")
    assert by_history["users"].sum() == len(split.users())
    assert ours.filter(metric="recall")["segment"].to_list() == ["head items", "middle items", "tail items"]


def test_a_log_of_one_day_gives_an_empty_evaluation_and_the_reason(tmp_path):
    one_day = events([("u", "a", 1, 0), ("u", "b", 1, 0)])
    found, problem = evaluate_if_possible(one_day, ModelSpec(model="ials"), TrainingSettings())
    assert "at least 2" in problem
    found.save(tmp_path)
    assert pl.read_parquet(tmp_path / "evaluation.parquet").schema == SCHEMA


def test_baselines_above_the_model_are_named():
    rows = [("ials", "ndcg", 10, 0.2), ("ease", "ndcg", 10, 0.3), ("popularity", "ndcg", 10, 0.1)]
    table = pl.DataFrame(
        [(*row, None, None, 5) for row in rows] + [("ials", "ndcg", 20, 0.5, None, None, 5)],
        schema=SCHEMA,
        orient="row",
    )
    assert better_baselines(table, k=10) == {"ease": 0.3}
    assert better_baselines(table, k=20) == {}


def test_what_was_seen_is_neither_ranked_nor_part_of_the_truth():
    wished = [(f"u{u}", f"i{i}", 1, 0) for u in range(8) for i in range(4)]
    seen = [(f"u{u}", "i9", 0, 0) for u in range(4)]
    later = [(f"u{u}", "i9", 1, 5) for u in range(8)]
    known = [("u8", "i9", 1, 0), ("u8", "i0", 1, 0)]
    split = time_split(events(wished + seen + later + known), held_out_share=0.5)
    truth = {split.train.users[int(num)] for num in split.truth.user_nums()}
    assert truth == {"u4", "u5", "u6", "u7"}
