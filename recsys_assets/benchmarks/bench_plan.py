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

from recsys_assets.benchmarks.harness import machine
from recsys_assets.benchmarks.sampled_changes import sample_against_full
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.interactions.wish_rule import hides_item
from recsys_assets.lake.item_catalogue import read_catalogue
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

_CHANGES_FOUND: Final = 2
"""Exit code of a plan with changes."""
_KILOBYTE: Final = 1024


def run(*, days: int | None = None, share: float = 0.5) -> dict[str, Any]:
    """Plan another L2 strength on the default, apply it, and compare; then judge ten changes by a sample and by all.

    Args:
        days: the default's first days; None takes the whole year.
        share: share of the users in the samples of the ten changes.

    Returns:
        `seconds` of the plan, `predicted_minutes` and `minutes` of applying it, `predicted_peak_mb` and `peak_mb`,
        their ratios, and `within_interval`: changes whose difference of NDCG on all users is in the interval that
        the sample gave, `of` ten, with `changes`.
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
            **_sampled_changes(home, share=share),
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


def _sampled_changes(home: Home, *, share: float) -> dict[str, Any]:
    """Compare ten changes of a factorisation's recipe on a sample and on all users."""
    settings = load_settings(home)
    store = Inputs(home, settings).interaction_store
    spec = msgspec.structs.replace(ModelChoice.load(home.artifact("choice")).spec, model="ials")
    found = sample_against_full(
        store.scan(store.days()).collect().lazy(),
        spec,
        settings.training,
        catalogue=read_catalogue(home.catalogue),
        hides=hides_item(settings.interactions),
        share=share,
    )
    return {
        "within_interval": found["within"],
        "of": found["of"],
        "share": share,
        "changes": found["changes"],
    }
