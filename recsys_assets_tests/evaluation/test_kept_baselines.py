"""A warm replay measures its model again, beside the baselines of the evaluation before."""

import polars as pl
import pytest

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.comparison import BASELINES, evaluate
from recsys_assets.evaluation.kept_baselines import evaluate_beside
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SPEC, SETTINGS = ModelSpec(model="ials"), TrainingSettings(embedding_size=8)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The folder of a whole evaluation, and the evaluation."""
    folder = tmp_path_factory.mktemp("evaluation")
    found = evaluate(block_world(), SPEC, SETTINGS)
    found.save(folder)
    return folder, found


def test_on_the_same_days_it_is_the_whole_evaluation(earlier):
    folder, whole = earlier
    found = evaluate_beside(block_world(), SPEC, SETTINGS, folder)

    ours = pl.col("model") == "ials"
    assert found.table.filter(ours).equals(whole.table.filter(ours))
    assert found.table.filter(~ours).equals(whole.table.filter(~ours))
    assert found.users == whole.users
    assert set(found.segments["model"]) == {"ials"}


def test_baselines_keep_their_metrics_where_rows_of_the_training_part_change(earlier):
    folder, whole = earlier
    rows = block_world().collect()
    first = pl.col("timestamp").dt.date() == rows["timestamp"].dt.date().min()
    fewer = pl.concat([rows.filter(~first), rows.filter(first).head(rows.filter(first).height // 2)])
    found = evaluate_beside(fewer.lazy(), SPEC, SETTINGS, folder)

    if found is not None:  # the same users have held-out items
        of_baselines = pl.col("model").is_in(BASELINES)
        assert found.table.filter(of_baselines).equals(whole.table.filter(of_baselines))


def test_other_held_out_days_are_measured_whole(earlier):
    rows = block_world().collect()
    last = rows["timestamp"].dt.date().max()

    assert (
        evaluate_beside(rows.filter(pl.col("timestamp").dt.date() < last).lazy(), SPEC, SETTINGS, earlier[0])
        is None
    )


def test_without_an_earlier_evaluation_all_is_measured(tmp_path):
    assert evaluate_beside(block_world(), SPEC, SETTINGS, tmp_path) is None
