"""Experiments for tests: a file of two arms, with a few lines changed."""

from pathlib import Path

from recsys_assets.experiments.experiments_file import Experiment, read_experiments
from recsys_assets.storage.home import Home

TWO_ARMS = """\
[experiments.taste]
start = 2026-11-01
end = 2026-11-30
metric = "ctr"

[[experiments.taste.arms]]
name = "now"
share = 0.5

[[experiments.taste.arms]]
name = "popular"
share = 0.5
model = "popular"
"""


def write_experiments(root: Path, text: str = TWO_ARMS, *changes: tuple[str, str]) -> Home:
    """Write a home's experiments, each change applied, and return the home."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    root.mkdir(parents=True, exist_ok=True)
    home = Home(root)
    home.experiments_file.write_text(text)
    return home


def one_experiment(root: Path, *changes: tuple[str, str]) -> Experiment:
    """Return the experiment of two arms, each change applied."""
    (found,) = read_experiments(write_experiments(root, TWO_ARMS, *changes))
    return found
