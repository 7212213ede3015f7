"""A release of the time before the held-out days, built as the home itself would build it."""

import numpy as np
import polars as pl
import pytest

from recsys_assets.embeddings.training import train
from recsys_assets.evaluation.held_out import time_split
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.rules.testing.difference import hold_out_home
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets_tests.api.world import FIRST_DAY, LAST_DAY, interactions


@pytest.fixture
def landed(tmp_path):
    """A home with interactions and settings of its own, and no release."""
    home = Home(tmp_path)
    home.settings_file.write_text(f"""
[source]
spec = "tabular:/nowhere"
first_day = {FIRST_DAY}
last_day = {LAST_DAY}
[training]
model = "softmax"
embedding_size = 8
held_out_share = 0.5
softmax = {{epochs = 2}}
""")
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    frame = interactions(users=30, items=40, seed=0)
    for day, rows in frame.group_by(pl.col("timestamp").dt.date()):
        store.write(day[0], rows)
    return home, frame


def test_held_out_days_are_compared_by_the_homes_own_model_and_settings(landed):
    home, frame = landed
    settings = load_settings(home).training

    held = hold_out_home(home)

    split = time_split(frame.lazy(), held_out_share=0.5)
    assert held.truth.entries == split.truth.entries
    assert held.release.score.recipe.model == "softmax"
    # the last dimension of each is popularity: of the whole time, and the recency prior
    trained_ID = train(split.train, settings).item_embeddings
    np.testing.assert_array_equal(held.release.item_factors, trained_ID[:, :-1])


def test_a_second_comparison_replaces_the_first_release(landed):
    home, _ = landed
    first = hold_out_home(home)
    again = hold_out_home(home)
    assert again.release.release_id == first.release.release_id
    assert len(list(again.home.releases.glob("2*"))) == 1
