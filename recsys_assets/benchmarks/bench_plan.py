"""`recsys bench plan`: a plan of the default against what applying it takes, and its sample against all users.

Every time is of a `recsys` process of its own, its start and its imports included.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from recsys_assets.benchmarks.harness import machine
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.evaluation.recipe_comparison import compare_recipes
from recsys_assets.evaluation.recipe_sample import Recipe
from recsys_assets.interactions.wish_rule import hides_item
from recsys_assets.lake.item_catalogue import read_catalogue
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

_CHANGES_FOUND: Final = 2
"""Exit code of a plan with changes."""
_ALL_USERS: Final = 1e9
"""Seconds in which any sample is all of the users."""
_SAMPLE_SECONDS: Final = 4.0
_KILOBYTE: Final = 1024


def run(*, days: int | None = None, changes: int = 10, seed: int = 0) -> dict[str, Any]:
    """Plan three times the L2 strength on the default, apply it, and compare; then judge seeded changes twice.

    Args:
        days: the default's first days; None takes the whole year.
        changes: seeded changes of the training whose sample is compared with all users.
        seed: seed of the changes.

    Returns:
        `seconds` of the plan, `predicted_minutes` and `minutes` of applying it, `predicted_peak_mb` and `peak_mb`,
        their ratios, and `within_interval`: changes whose difference of NDCG on all users is in the interval that
        the sample gave, with `sample_shares`.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-plan-") as folder:
        home = Home(Path(folder) / "home")
        given = [] if days is None else ["--days", str(days)]
        _recsys(home, "init", *given)
        _recsys(home, "build")
        proposal = Path(folder) / "proposal.toml"
        proposal.write_text(f"{home.settings_file.read_text()}\n[training]\nregularization = 0.03\n")
        seconds, _, output = _recsys(
            home, "plan", "--settings", str(proposal), "--json", expected=_CHANGES_FOUND
        )
        plan = json.loads(output)
        taken, peak_mb, _ = _recsys(home, "plan", "--apply", expected=None)
        predicted, predicted_peak = plan["build"]["seconds"], plan["build"]["peak_mb"]
        return {
            "seconds": round(seconds, 1),
            "predicted_minutes": round(predicted / 60, 3),
            "minutes": round(taken / 60, 3),
            "minutes_ratio": round(predicted / taken, 3),
            "predicted_peak_mb": predicted_peak,
            "peak_mb": round(peak_mb),
            "peak_ratio": round(predicted_peak / peak_mb, 3),
            **_seeded_changes(home, changes, seed=seed),
            "machine": machine("torch", "polars", "dagster"),
        }


def _recsys(home: Home, *arguments: str, expected: int | None = 0) -> tuple[float, float, str]:
    """Run a command to its end; return wall seconds, most memory in MiB, and what it printed.

    `expected` is its exit code; None accepts a release that the gate keeps back.

    Raises:
        RuntimeError: it ended with another code; with the end of what it printed.
    """
    command = [sys.executable, "-W", "ignore", "-m", "recsys_assets", *arguments, "--home", str(home.root)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err)  # noqa: S603  our own command
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        said, problem = out.read().decode(), err.read().decode(errors="replace")
    codes = {0, 1} if expected is None else {expected}
    if process.returncode not in codes:
        raise RuntimeError(f"{' '.join(arguments)}: {said[-1000:]}{problem[-1000:]}")
    return seconds, usage.ru_maxrss / _KILOBYTE, said


def _seeded_changes(home: Home, changes: int, *, seed: int) -> dict[str, Any]:
    settings = load_settings(home)
    store, rng = Inputs(home, settings).interaction_store, np.random.default_rng(seed)
    present = Recipe(
        interactions=store.scan(store.days()),
        training=settings.training,
        spec=ModelChoice.load(home.artifact("choice")).spec,
        catalogue=read_catalogue(home.catalogue),
        hides=hides_item(settings.interactions),
    )
    within, shares = 0, list[float]()
    for number in range(changes):
        proposed = _with_training(present, _changed(settings.training, rng))
        sample = compare_recipes(present, proposed, seconds=_SAMPLE_SECONDS, seed=number)
        whole = compare_recipes(present, proposed, seconds=_ALL_USERS, seed=number)
        shares.append(round(sample.share, 3))
        if sample.metrics and whole.metrics:
            within += sample.metrics[0].low <= whole.metrics[0].difference <= sample.metrics[0].high
    return {"within_interval": within, "changes": changes, "sample_shares": shares}


def _with_training(recipe: Recipe, training: TrainingSettings) -> Recipe:
    return Recipe(
        interactions=recipe.interactions,
        training=training,
        spec=recipe.spec,
        catalogue=recipe.catalogue,
        hides=recipe.hides,
    )


def _changed(training: TrainingSettings, rng: np.random.Generator) -> TrainingSettings:
    """Return the settings with one seeded change of the kind that people try."""
    field = str(
        rng.choice(["epochs", "embedding_size", "regularization", "count_exponent", "half_life_days"])
    )
    softmax = training.softmax
    if field == "epochs":
        epochs = int(rng.integers(1, 20))
        return msgspec.structs.replace(
            training, epochs=epochs, softmax=msgspec.structs.replace(softmax, epochs=epochs)
        )
    value: float | int = {
        "embedding_size": int(rng.integers(4, 96)),
        "regularization": float(10 ** rng.uniform(-3, 0)),
        "count_exponent": float(rng.uniform(0, 1)),
        "half_life_days": int(rng.integers(7, 120)),
    }[field]
    return msgspec.structs.replace(training, **{field: value})
