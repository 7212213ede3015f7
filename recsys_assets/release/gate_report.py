"""The report of the gate on one release: each result in words and numbers, kept beside the releases.

The API imports this: neither torch nor polars.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.current import read_promotions
from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.home import Home

GATE_FOLDER: Final = ".gate"
"""Folder beside the releases with one JSON file a release."""

NOT_JUDGED: Final = "not judged: [gate] enabled is false"
"""Detail of each result where the gate is off."""
GateName = Literal[
    "held_out", "best_baseline", "index_recall", "lists", "golden_users", "rules_cases", "smoke_test"
]


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check of the gate."""

    name: GateName
    """The check."""
    passed: bool
    """False where it keeps the release from being promoted."""
    value: float | None = None
    """The figure found; None where nothing could be measured."""
    bound: float | None = None
    """The figure that it is compared with."""
    detail: str
    """The result in words, with its figures."""


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement on one release."""

    release: str
    """Id of the release."""
    against: str | None
    """Id of the release that was current then; None for the first."""
    at: datetime
    """Time of the judgement, UTC."""
    passed: bool
    """True where every check passed, so that the release may be promoted."""
    results: list[GateResult]
    """One a check."""
    inputs: str = ""
    """Fingerprint of all that the judgement depends on beside the release; another one is a reason to judge again."""

    def reasons(self) -> list[str]:
        """Return a line for each check that did not pass."""
        return [
            f"{one.name.replace('_', ' ')}: {one.detail.partition(chr(10))[0]}"
            for one in self.results
            if not one.passed
        ]

    def in_words(self) -> str:
        """Return the judgement, and below it a line for each check that did not pass."""
        against = f" (current: {self.against})" if self.against else ""
        if self.results and all(one.detail == NOT_JUDGED for one in self.results):
            return f"release {self.release} was {NOT_JUDGED}"
        if self.passed:
            return f"release {self.release} passed the gate{against}"
        return "\n".join(
            [
                f"release {self.release} did not pass the gate and stays a candidate{against}:",
                *(f"  {reason}" for reason in self.reasons()),
            ]
        )


def report_file(root: Path, release_id: str) -> Path:
    """Return the path of a release's report under `root`, the folder of releases."""
    return root / GATE_FOLDER / f"{release_id}.json"


def write_gate(root: Path, report: GateReport) -> None:
    """Write a report in place of the one before, on the disk when this returns."""
    replace_file(
        report_file(root, report.release), msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
    )


def read_gate(root: Path, release_id: str) -> GateReport | None:
    """Return the report on a release; None where the gate never judged it.

    Raises:
        BrokenReleaseError: the report cannot be read.
    """
    file = report_file(root, release_id)
    try:
        return msgspec.json.decode(read_file(file), type=GateReport)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenReleaseError(
            f"{file}: the gate's report cannot be read ({error}); remove it, and run `recsys build`"
        ) from error


def check_gate(root: Path, release_id: str, *, served_counts: bool = False) -> None:
    """Check that the gate did not keep a release back; one that it never judged may be promoted by hand.

    Args:
        root: the folder of releases.
        release_id: the release.
        served_counts: accept one that was served all the same, since somebody forced it.

    Raises:
        ReleaseError: it did not pass; the message has the reasons.
        BrokenReleaseError: the report cannot be read.
    """
    try:
        report = read_gate(root, release_id)
        fault = None if report is None or report.passed else ReleaseError(_kept_back(report))
    except BrokenReleaseError as error:
        fault = error
    if fault is None or (served_counts and any(move.after == release_id for move in read_promotions(root))):
        return
    raise fault


def _kept_back(report: GateReport) -> str:
    return (
        f"{report.in_words()}\nMend the cause and run `recsys build`, or promote it all the same by `recsys "
        f"releases promote {report.release} --force --why TEXT`"
    )


def newest_candidate(home: Home) -> GateReport | None:
    """Return the report on the release of the last build where it was kept back and never served; None else."""
    try:
        newest = home.artifact("release").read_text(encoding="ascii").strip()
        if any(move.after == newest for move in read_promotions(home.releases)):
            return None
        report = read_gate(home.releases, newest)
    except (OSError, ValueError, ReleaseError):
        return None
    return None if report is None or report.passed else report
