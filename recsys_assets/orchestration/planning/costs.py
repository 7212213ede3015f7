"""Time, memory and bytes that the stages of a build took, recorded at each build, and foreseen from that for a plan.

A stage's figures are scaled by rows and by its work beside them (`stage_work`). A build of a home without a record is
foreseen by figures measured on the embedded default.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.online_inputs import ONLINE
from recsys_assets.orchestration.planning.expected_model import present_model
from recsys_assets.orchestration.planning.stage_work import Work
from recsys_assets.orchestration.planning.stages import CATALOGUE, CLEANED, RAW, REPORT, BuildStep
from recsys_assets.orchestration.repair.made_artifacts import written_parts
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.peak_memory import MEGABYTE, PeakMemory
from recsys_assets.training_settings import TrainingSettings

_KEPT: Final = 8
"""Newest records that are kept of each stage."""
_USED: Final = 3
"""Newest records that a stage is foreseen from."""
_RUN_SECONDS: Final = 0.5
"""Seconds of a stage that do not grow with its rows: a Dagster run's own."""
_MOST_TIMES: Final = 4
"""Times the rows of a record up to which its time and memory grow with the rows; of fewer rows most of them is fixed,
and what a guess foresees comes on top."""
START_SECONDS: Final = 4.0
"""Seconds of a build beside its stages: imports, and looking for what is stale."""
_BASE_MB: Final = 450.0
"""Resident memory of a build before its first stage, with all libraries loaded."""
_GUESSES: Final = {
    RAW: (1.0, 6.0, 250.0),
    CATALOGUE: (0.8, 0.0, 0.0),
    CLEANED: (1.0, 12.0, 200.0),
    REPORT: (2.0, 40.0, 100.0),
    "choice": (3.0, 9.0, 400.0),
    "embeddings": (1.0, 3.0, 350.0),
    "evaluation": (2.0, 8.0, 450.0),
    "features": (1.0, 2.0, 250.0),
    "index": (2.0, 2.0, 200.0),
    "release": (1.0, 0.5, 50.0),
    "exported_lists": (1.0, 2.0, 100.0),
    ONLINE: (1.0, 1.0, 150.0),
}
"""Stage -> seconds, seconds a million rows, and MB of memory a million rows, on the embedded default and two cores."""


_TRAINED_FILE: Final = "training.json"
"""The record of a training in the embeddings."""


class _Trained(msgspec.Struct, frozen=True, kw_only=True):
    users: int
    items: int
    entries: int


class StageCost(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of one stage of one build."""

    stage: str
    """The stage's name."""
    seconds: float
    """Wall time."""
    start_mb: float
    """Resident memory of the process when it began."""
    peak_mb: float
    """The most while it ran."""
    written: int
    """Bytes of the files that it made."""
    rows: int
    """Rows that its time grows with, see `rows_of`."""
    work: float = 1.0
    """Its work beside the rows, 1 by default settings and the default's model; see `Work`."""


@dataclass(kw_only=True)
class CostMeter:
    """A running stage."""

    seconds: float = 0.0
    """Wall time, once it has ended."""
    succeeded: bool = False
    """Set by the block; of a failed stage nothing is recorded."""


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """Time, memory and bytes of a step, foreseen."""

    seconds: float
    """Wall time."""
    peak_mb: float
    """Most resident memory of the process."""
    written: int
    """Bytes."""
    measured: bool
    """False where there is no record of the stage in this home."""


@contextmanager
def measured(inputs: Callable[[], Inputs], step: BuildStep) -> Iterator[CostMeter]:
    """Measure the block that runs a step, and record its cost for later plans; under the build lock.

    Args:
        inputs: returns the inputs as they are after it.
        step: the step.
    """
    found, began = CostMeter(), time.monotonic()
    with PeakMemory() as memory:
        yield found
    found.seconds = time.monotonic() - began
    if found.succeeded:
        now = inputs()
        cost = StageCost(
            stage=step.stage,
            seconds=round(found.seconds, 3),
            start_mb=round(memory.at_start / MEGABYTE, 1),
            peak_mb=round(memory.peak / MEGABYTE, 1),
            written=_written(now, step),
            rows=rows_of(now, step),
            work=Work(training=now.settings.training, model=present_model(now.home)).of(step.stage),
        )
        others = read_costs(now.home)
        same = [one for one in others if one.stage == step.stage][-_KEPT + 1 :]
        kept = [one for one in others if one.stage != step.stage] + same
        replace_file(now.home.build_costs, msgspec.json.encode([*kept, cost]))


def read_costs(home: Home) -> list[StageCost]:
    """Return the recorded costs, oldest first; none where there is no record that can be read."""
    try:
        return msgspec.json.decode(home.build_costs.read_bytes(), type=list[StageCost])
    except (OSError, msgspec.MsgspecError):
        return []


def foresee(step: BuildStep, *, rows: int, work: Work, costs: Sequence[StageCost]) -> Foreseen:
    """Foresee a step from the newest records of its stage.

    Args:
        step: the step.
        rows: as `rows_of` will count them after it.
        work: what decides its work beside the rows.
        costs: the records of the home.
    """
    known = [one for one in costs if one.stage == step.stage][-_USED:]
    seconds, a_million, megabytes = _GUESSES.get(step.stage, (1.0, 1.0, 100.0))
    amount = work.of(step.stage)
    if not known:
        return Foreseen(
            seconds=seconds + a_million * amount * rows / 1e6,
            peak_mb=_BASE_MB + megabytes * rows / 1e6,
            written=0,
            measured=False,
        )

    def scaled(one: StageCost) -> float:
        fixed = min(_RUN_SECONDS, one.seconds)
        if rows > _MOST_TIMES * one.rows:
            return one.seconds + a_million * amount * rows / 1e6
        return fixed + (one.seconds - fixed) * rows / one.rows * amount / one.work

    def held(one: StageCost) -> float:
        if rows > _MOST_TIMES * one.rows:
            return one.peak_mb + megabytes * rows / 1e6
        return one.start_mb + (one.peak_mb - one.start_mb) * rows / one.rows

    return Foreseen(
        seconds=median(map(scaled, known)),
        peak_mb=max(map(held, known)),
        written=round(median(one.written * rows / one.rows for one in known)),
        measured=True,
    )


def memory_change(home: Home, training: TrainingSettings) -> float:
    """Return the MB that training by other settings holds more than by those of the last choice (the memory plan).

    0 where these, or the sizes of the last training, are not known.
    """
    before = training_before(home)
    try:
        trained = msgspec.json.decode(
            (home.artifact("embeddings") / _TRAINED_FILE).read_bytes(), type=_Trained
        )
    except (OSError, msgspec.MsgspecError):
        return 0.0
    shape, entries = (trained.users, trained.items), trained.entries
    if before is None or before == training:
        return 0.0
    from recsys_assets.embeddings.memory_plan import needed_bytes  # noqa: PLC0415  torch

    more = needed_bytes(shape, entries, training) - needed_bytes(shape, entries, before)
    return more / MEGABYTE


def training_before(home: Home) -> TrainingSettings | None:
    """Return the settings of the last choice; None where they are not known."""
    given = written_parts(home.artifact("choice")).get("[training]")
    try:
        return msgspec.convert(given, TrainingSettings, strict=False)
    except msgspec.ValidationError:
        return None


def gate_seconds(
    home: Home, training: TrainingSettings, steps: Sequence[BuildStep], costs: Sequence[StageCost]
) -> float:
    """Return the seconds that the gate takes to fit the recipe of the current release for the new held-out days.

    0 where it compares what both releases stored: the days are the same, or the recipe is.
    """
    before, stages = training_before(home), {step.stage for step in steps}
    if before is None or before == training or "release" not in stages:
        return 0.0
    if not stages & {RAW, CLEANED} and before.held_out_share == training.held_out_share:
        return 0.0
    fits = [one for one in costs if one.stage == "embeddings"][-_USED:]
    work = Work(training=before, model=present_model(home)).of("embeddings")
    return median(one.seconds * work / one.work for one in fits) if fits else 0.0


def rows_of(inputs: Inputs, step: BuildStep) -> int:
    """Return the rows that a step's time grows with: those of its days, or all cleaned ones; at least 1.

    Of the catalogue they are the source's: it is made before any day is.
    """
    if step.stage == CATALOGUE:
        counted = inputs.source_days
        return 1 if counted is None else max(1, counted.rows.total)
    files = inputs.raw_files if step.stage == RAW else inputs.interaction_files
    days = set(step.days) or set(files)
    return max(1, sum(file.rows or 0 for day, file in files.items() if day in days))


def _written(inputs: Inputs, step: BuildStep) -> int:
    home = inputs.home
    if step.stage in (RAW, CLEANED):
        files = inputs.raw_files if step.stage == RAW else inputs.interaction_files
        return sum(files[day].state[0] for day in step.days if day in files)
    if step.stage == REPORT:
        return sum(_bytes_in(day_folder(home.reports, day)) for day in step.days)
    if step.stage == "release":
        return _bytes_in(home.releases / home.artifact("release").read_text(encoding="ascii").strip())
    return _bytes_in(home.catalogue if step.stage == CATALOGUE else home.artifact(step.stage))


def _bytes_in(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
