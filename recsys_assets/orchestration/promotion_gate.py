"""The gate on a new release: has every check judge it, and keeps the report.

The checks are in `gate_checks`, the rules of the judgement in `release.gate`.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, get_args

import msgspec
import polars as pl

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.orchestration.fingerprints import fingerprint
from recsys_assets.orchestration.gate_checks import Candidate
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.release.gate import (
    nothing_to_compare,
)
from recsys_assets.release.gate_report import NOT_JUDGED, GateName, GateReport, GateResult, write_gate
from recsys_assets.release.list_audit import audit_lists
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.rules.testing.cases import CASES_FILE
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home

NAMES: Final[tuple[GateName, ...]] = get_args(GateName)
_NOTHING_SERVED: Final = "nothing is served yet"
_VERSION: Final = "1"
"""Of the judgement; raised where it judges otherwise, so that candidates kept back are judged again."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The judgement on a candidate, and the audit of its lists."""

    report: GateReport
    """The results."""
    lists: list[CheckResult]
    """The single checks behind the result `lists`."""


def gate_inputs(home: Home, settings: Settings) -> str:
    """Return a fingerprint of all that a judgement depends on beside the candidate."""
    files = (home.golden_file, home.rules_file.with_name(CASES_FILE))
    contents = (file.read_bytes().hex() if file.is_file() else "" for file in files)
    settled = (msgspec.json.encode(settings.gate), settings.index.recall_target)
    return fingerprint([_VERSION, *settled, _current(ReleaseStore(home.releases)), *contents])


def _current(store: ReleaseStore) -> str | None:
    try:
        return store.current_id()
    except BrokenReleaseError:
        return None


def judge(
    home: Home,
    settings: Settings,
    release_id: str,
    *,
    interactions: Callable[[], pl.LazyFrame],
    catalogue: pl.DataFrame | None,
    on_step: Callable[[int, int], None] = lambda _, __: None,
) -> Judgement:
    """Judge a published release that is not current, and keep the report.

    Args:
        home: its home.
        settings: the settings that it was built with.
        release_id: the candidate.
        interactions: returns the interactions that it was built from.
        catalogue: rows of ITEM_CATALOGUE, or None if there is none.
        on_step: called after each check, with the number done and the number of all.

    Raises:
        BrokenReleaseError: the candidate is damaged.
        MemoryError, OSError: the machine lacks memory or disk.
    """
    store = ReleaseStore(home.releases)
    against = _current(store)
    candidate = Candidate(
        home=home,
        settings=settings,
        release=load_release(store.path(release_id), verify=False),
        current=_loaded(store, against),
        no_current=_NOTHING_SERVED if against is None else f"the current release {against} is damaged",
        interactions=interactions,
        catalogue=catalogue,
    )
    with ThreadPoolExecutor(1) as beside:
        served = beside.submit(candidate.smoke_test) if settings.gate.enabled else None
        lists = audit_lists(candidate.release, candidate.current)
        results = []
        for done, name in enumerate(NAMES, start=1):
            results.append(_result_of(candidate, name, lists=lists, served=served))
            on_step(done, len(NAMES))
    report = GateReport(
        release=release_id,
        against=against,
        at=datetime.now(UTC),
        passed=all(one.passed for one in results),
        results=results,
        inputs=gate_inputs(home, settings),
    )
    write_gate(home.releases, report)
    return Judgement(report=report, lists=lists if settings.gate.enabled else _only_warnings(lists))


def _result_of(
    candidate: Candidate, name: GateName, *, lists: list[CheckResult], served: "Future[GateResult] | None"
) -> GateResult:
    """Return the result of a check; that of the smoke test, which waits for a server to start, comes from `served`."""
    if served is None:
        return nothing_to_compare(name, NOT_JUDGED)
    if name == "smoke_test":
        return served.result()
    found: GateResult = candidate.lists(lists) if name == "lists" else getattr(candidate, name)()
    return found


def served_already(store: ReleaseStore, release_id: str) -> Judgement:
    """Return the judgement on the current release: it passes, whatever would be said of it as a candidate."""
    release = load_release(store.path(release_id), verify=False)
    results = [nothing_to_compare(name, "not judged: it is the current release already") for name in NAMES]
    at = datetime.now(UTC)
    report = GateReport(release=release_id, against=release_id, at=at, passed=True, results=results)
    return Judgement(report=report, lists=_only_warnings(audit_lists(release, None)))


def _only_warnings(found: list[CheckResult]) -> list[CheckResult]:
    return [replace(one, verdict="warn") if one.verdict == "block" else one for one in found]


def _loaded(store: ReleaseStore, release_id: str | None) -> Release | None:
    """Open the current release; None where there is none, or it is damaged and cannot be compared with."""
    if release_id is None:
        return None
    try:
        return load_release(store.path(release_id), verify=False)
    except ReleaseError:
        return None
