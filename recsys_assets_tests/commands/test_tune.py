"""`recsys tune` on a small home: a line a trial, and settings changed only where something is better than chance."""

import re
from datetime import timedelta

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import land
from recsys_assets.settings import ReportSettings, load_settings
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import START, block_world
from recsys_assets_tests.orchestration.homes import SilentWatcher

LINE = re.compile(r"NDCG@20 0\.\d{4} by [a-z_+]+ in \d+\.\d s, best so far 0\.\d{4} by [a-z_+]+")


@pytest.fixture(scope="module")
def landed(tmp_path_factory) -> Home:
    """Ten days of a world of four tastes."""
    folder = tmp_path_factory.mktemp("tune")
    source = folder / "events.csv"
    block_world(share=0.6).select("user_id", "item_id", "timestamp").collect().with_columns(
        pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    ).write_csv(source)
    home = Home(folder / "home")
    settings = msgspec.structs.replace(initialise(home, f"tabular:{source}"), report=ReportSettings(days=0))
    days = [START.date() + timedelta(days=n) for n in range(10)]
    assert not land(home, settings, SilentWatcher(), days).failed
    return home


def tuned(home: Home, *arguments: str, training: str) -> tuple[list[str], TrainingSettings, TrainingSettings]:
    """Tune from these settings: the lines printed, and the settings before and after."""
    original = home.settings_file.read_text()
    home.settings_file.write_text(f"{original}\n[training]\n{training}\n")
    try:
        before = load_settings(home).training
        done = CliRunner().invoke(main, ["tune", "--home", str(home.root), *arguments])
        assert done.exit_code == 0, done.output
        return done.output.splitlines(), before, load_settings(home).training
    finally:
        home.settings_file.write_text(original)


def test_every_trial_is_a_line_with_its_model_and_nothing_is_written_without_a_gain(landed):
    (first, *trials, last), before, after = tuned(landed, "--minutes", "0", training="embedding_size = 4")
    assert "present settings first" in first
    assert len(trials) == 1
    assert LINE.fullmatch(trials[0])
    assert after == before
    assert "unchanged" in last
    assert "give more --minutes" in last


def test_what_is_better_than_chance_is_written_with_its_model(landed):
    bad = 'model = "ials"\nembedding_size = 4\nregularization = 3.0'
    (_, *trials, last), before, after = tuned(landed, "--minutes", "0.2", training=bad)
    assert all(LINE.fullmatch(line) for line in trials)
    assert "By `recsys tune`" in last
    assert (after.model, after.embedding_size) == ("ials", 4)
    assert after.regularization < before.regularization
    assert after.score.prior_weight is not None
