"""Recalled days: those that stay out of the lake while the source has them unchanged, and their marks in Dagster.

Dagster does not compare the days of a daily asset with what an asset without partitions was made from
(`CachingStaleStatusResolver` leaves such dependencies out). So there is `recalled_days`, an external asset that
everything learnt from days depends on: each recall gives it another data version, and what is downstream is stale.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import dagster as dg

from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.follow import CONTENT_KEY
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.metadata import OWNER
from recsys_assets.orchestration.run_results import LOOK, counted, look_at
from recsys_assets.quality.audit_and_publish import PublishOutcome, RecalledRows
from recsys_assets.quality.quarantine import RECALLED
from recsys_assets.quality.questions import question_of
from recsys_assets.release.current import RECALLED_FILE, RecalledDay, note_landed_again, read_recalled
from recsys_assets.release.release_store import MOVING
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

RECALLED_DAYS: Final = "recalled_days"
"""The external asset."""
_DATA_VERSION: Final = "dagster/data_version"

recalled_days = dg.AssetSpec(
    RECALLED_DAYS,
    group_name="lake",
    owners=[OWNER],
    kinds={"json"},
    description="The days that were recalled (`recsys releases recall`), a version of a day each. A recall makes "
    "everything that was learnt from days stale.",
)


def recalled_rows(home: Home) -> dict[date, Sequence[RecalledRows]]:
    """Return day -> its rows that were recalled; those do not land again.

    Raises:
        BrokenReleaseError: the record of recalled days cannot be read.
    """
    found: dict[date, list[RecalledRows]] = {}
    for entry in read_recalled(home.releases):
        if entry.raw_fingerprint:
            found.setdefault(entry.day, []).append(RecalledRows(entry.raw_fingerprint, entry.why))
    return dict(found)


def left_out(inputs: Inputs) -> dict[date, RecalledDay]:
    """Return the recalled days that are not in the lake, and would be landed from what was recalled.

    Raises:
        BrokenReleaseError: the record of recalled days cannot be read.
    """
    return {
        entry.day: entry
        for entry in read_recalled(inputs.home.releases)
        if entry.raw_inputs
        and entry.day not in inputs.raw_files
        and entry.raw_inputs == inputs.raw_interactions(entry.day)
    }


def landing_of_accepted(inputs: Inputs, day: date) -> dict[str, str]:
    """Return the provenance of a raw day that is accepted: recalled rows are of the source as it was when they landed.

    Where the source has others since, these land with the next build.
    """
    from recsys_assets.quality.quarantine import rejected_on  # noqa: PLC0415  rarely needed

    rows = {one.fingerprint for one in rejected_on(inputs.home.quarantine, day)}
    for entry in read_recalled(inputs.home.releases):
        was = entry.raw_inputs if entry.day == day and entry.raw_fingerprint in rows else ""
        if was and was != inputs.raw_interactions(day):
            return {INPUTS_KEY: was, CONTENT_KEY: RECALLED}
    return inputs.landing(day)


def left_out_in_words(days: Mapping[date, RecalledDay]) -> str:
    """Return a line on the days that `left_out` found; empty for none."""
    if not days:
        return ""
    first, last = min(days), max(days)
    span = f"{first}" if len(days) == 1 else f"{first} to {last}"
    reasons = "; ".join(dict.fromkeys(entry.why for entry in days.values()))
    verb = "stays" if len(days) == 1 else "stay"
    return (
        f"Recalled: {counted(len(days), 'day')}, {span}, {verb} out while the source has the same rows"
        f" ({reasons})."
    )


def note_rejected_again(inputs: Inputs, outcome: PublishOutcome) -> None:
    """Note the days that were rejected since their rows were recalled: they are not landed from these inputs again."""
    again = {day: results for day, results in outcome.rejected.items() if is_recalled(results)}
    if not again:
        return
    from recsys_assets.quality.quarantine import rejected_on  # noqa: PLC0415  rarely needed

    with locked(inputs.home.releases / MOVING):
        for day in again:
            for one in rejected_on(inputs.home.quarantine, day):
                if one.table == RAW_INTERACTIONS.name:
                    wanted = inputs.raw_interactions(day)
                    note_landed_again(inputs.home.releases, day, one.fingerprint, wanted)


def is_recalled(results: Iterable[Any]) -> bool:
    """Return True where a day was rejected since its rows were recalled."""
    return any(result.check == RECALLED and result.verdict == "block" for result in results)


def mark_in_dagster(
    instance: dg.DagsterInstance, home: Home, days: Sequence[date], *, why: str, at: datetime
) -> None:
    """Record a recall in Dagster: its days as rejected, and everything downstream of them as stale.

    Args:
        instance: the home's.
        home: the home.
        days: days that went to quarantine.
        why: the reason.
        at: time of the recall, UTC; the same recall marked again is a mark more, and changes nothing.
    """
    question = question_of(RAW_INTERACTIONS.name, RECALLED)
    version = f"recalled at {at.isoformat()}"
    for day in days:
        look = f"{look_at(day, rejected=True)}{home.option}"
        metadata: dict[str, Any] = {"dagster/partition_row_count": 0, "recalled": why, LOOK: look}
        # a day's cleaned version first: it is stale then, as what was made from it
        for table in (INTERACTIONS.name, RAW_INTERACTIONS.name):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    table, partition=day.isoformat(), metadata=metadata, tags={_DATA_VERSION: version}
                )
            )
        if question is not None:
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey(RAW_INTERACTIONS.name),
                    check_name=question.name,
                    passed=False,
                    severity=dg.AssetCheckSeverity.ERROR,
                    partition=day.isoformat(),
                    description=f"{day}, recalled: {why}",
                    metadata={LOOK: look},
                )
            )
    file = home.releases / RECALLED_FILE
    content = hashlib.sha256(file.read_bytes()).hexdigest()[:20]
    instance.report_runless_asset_event(
        dg.AssetMaterialization(RECALLED_DAYS, metadata={"why": why}, tags={_DATA_VERSION: content})
    )
