"""Settings of releases: the gate that a new one passes before it is promoted, and the time that old things are kept."""

from typing import Annotated

import msgspec
from msgspec import Meta

from recsys_assets.storage.bounds import Count, NumberOfDays, Share


class GateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checks that a new release must pass to be served; one that fails stays a candidate."""

    enabled: bool = True
    """Judge each new release. Without, it is promoted as soon as it is published."""
    margin: Share = 0.02
    """Share of NDCG@10 that a release may lose against the current one, and against the best baseline, before it
    fails; a loss that may be chance (paired 95 % interval) never fails."""
    smoke_test: bool = True
    """Serve the new release in a server process of its own, on a free port of this machine only, and compare its
    answers."""
    smoke_users: Annotated[int, Meta(ge=1, le=1_000)] = 20
    """Users whose lists the smoke test compares."""
    smoke_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 180.0
    """Time that the smoke test may take before it fails; it takes about two on a machine that is not busy."""


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of `recsys prune`; the newest record of each day, `current` and the release before it always stay."""

    after_build: bool = False
    """Prune at the end of each `recsys build`, too."""
    run_days: NumberOfDays = 30
    """Keep the logs of Dagster's runs for N days after they ended."""
    check_days: NumberOfDays = 365
    """Keep the results of a day that passed every check for N days; those of other days stay."""
    report_days: NumberOfDays = 365
    """Keep an increment report for N days after it was written; those of the last `[report] days` stay."""
    answer_days: NumberOfDays = 365
    """Keep the hourly counts of answers, which `recsys lineage` shows, for N days."""
    quarantine_days: NumberOfDays = 365
    """Keep a rejected day in quarantine for N days."""
    version_days: NumberOfDays = 365
    """Keep the rows of a day that others replaced for N days after that, so that reports and features can be made as
    known then; 0 keeps none."""
    replay_days: NumberOfDays = 365
    """Keep the report on a replay for N days."""
    notice_days: NumberOfDays = 365
    """Keep a notice for N days; one that still waits for a target stays."""
    releases: Count = 5
    """Keep the newest N releases."""
