"""The model development notebook runs on the project's own interactions and shows what it tried."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.executed_notebook import execute_to_html
from recsys_assets.notebooks import trials
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore


@pytest.fixture
def home(tmp_path):
    """Ten days in which even users take even items and odd users odd ones."""
    store = PartitionStore(root=tmp_path / "lake" / "interactions", schema=INTERACTIONS.polars_schema())
    rng = np.random.default_rng(0)
    for n in range(10):
        day = date(2020, 1, 1) + timedelta(days=n)
        users = rng.integers(0, 40, 120)
        items = 2 * rng.integers(0, 15, 120) + users % 2
        frame = pl.DataFrame(
            {
                "user_id": [f"u{u}" for u in users],
                "item_id": [f"i{i}" for i in items],
                "timestamp": [datetime(day.year, day.month, day.day, tzinfo=UTC)] * 120,
                "weight": np.ones(120),
            }
        )
        whole = frame.select(
            pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in INTERACTIONS.polars_schema().items()
        )
        store.write(day, whole)
    return tmp_path


def test_tries_every_combination_best_first(home):
    found = trials.try_settings(trials.load(Home(home)), sizes=[2, 4], regularizations=[0.01, 0.1])
    assert found.height == 4
    assert found["ndcg@20"].is_sorted(descending=True)


def test_only_the_last_days_where_asked(home):
    assert trials.load(Home(home), last_days=3).first_day == date(2020, 1, 8)


def test_raises_when_no_day_has_landed(tmp_path):
    with pytest.raises(ValueError, match="recsys build"):
        trials.load(Home(tmp_path))


def test_the_notebook_runs_to_its_end(home):
    notebook = Path(trials.__file__).with_name("model_development.py")
    parameters = {"home": str(home), "embedding_sizes": "2", "regularizations": "0.01"}
    page = execute_to_html(notebook, parameters)
    assert page.count("<img") == 2
    assert "Sizes and regularisation" in page
