"""A recall from start to end: marks, `current`, the record and the notice at once, then quarantine and Dagster.

Each step is durable before the next, and does nothing where it was done: a recall that was killed is finished by the
same command, or by the next build. Only the second half waits for a build that is under way.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime

import msgspec

from recsys_assets.errors import BuildRunningError, ReleaseError
from recsys_assets.exports.export_state import exports_of
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.home_account import write_home_account
from recsys_assets.notices.delivery import send_notice
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.recall_words import recall_notice, spans_in_words, taken_back_notice
from recsys_assets.quality.ledger_place import has_ledger
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.quarantine import content_fingerprint, quarantine_day, recalled_result
from recsys_assets.release.answer_counts import read_answers
from recsys_assets.release.current import RecalledDay, read_recalled, take_back
from recsys_assets.release.recalls import (
    RecordedRecall,
    UnfinishedRecall,
    append_recall,
    read_recalls,
    read_unfinished,
    write_unfinished,
)
from recsys_assets.release.release_store import MOVING, ReleaseStore
from recsys_assets.release.rewritten import Rewritten
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import SHORTLY, build_lock, locked

Say = Callable[[str], None]


def recall_days(
    home: Home, settings: Settings, days: Collection[date], *, why: str, who: str, say: Say
) -> RecordedRecall:
    """Recall days, or finish a recall of the same days that was killed.

    Args:
        home: the home.
        settings: its settings.
        days: UTC days; at least one was landed, or is in a release.
        why: the reason.
        who: login or name of an API key.
        say: called with a line on each thing that was done.

    Raises:
        ReleaseError: no release was built on the days, and none of them is in the lake.
        BuildRunningError: a build is under way. The days are marked, `current` has moved and the notice is kept; the
            days go to quarantine when the command runs again, or with the next build.
    """
    recall = _begin(home, settings, tuple(sorted(set(days))), why=why, who=who)
    if isinstance(recall, RecordedRecall):
        say(
            f"Recalled before, at {recall.at:%Y-%m-%d %H:%M} UTC by {recall.who or 'somebody'}: nothing to do."
        )
        return recall
    recorded = _declare(home, settings, recall)
    if left := set(days) - set(recall.days):
        say(f"Neither in the lake nor in a release: {spans_in_words(sorted(left))}")
    try:
        with build_lock(home, patience=SHORTLY):
            finish_recalls(home, settings, say)
    except BuildRunningError as error:
        now = f"current is {recorded.current}" if recorded.current else "no release is current"
        raise BuildRunningError(
            f"{error}. Done so far: the days are marked as recalled, {now}, the notice is kept. They go to quarantine"
            " with the next build, or when the same command runs again"
        ) from None
    return recorded


def finish_recalls(home: Home, settings: Settings, say: Say) -> None:
    """Finish every recall that was begun, and every one that was taken back; the caller holds the build lock.

    Raises:
        BrokenReleaseError: a record of recalls cannot be read.
    """
    take_back_accepted(home, settings)
    for recall in read_unfinished(home):
        _declare(home, settings, recall)
        _carry_out(home, settings, recall, say)
        with locked(home.releases / MOVING):
            write_unfinished(home, [one for one in read_unfinished(home) if one.at != recall.at])


def take_back_accepted(home: Home, settings: Settings) -> list[date]:
    """Forget the recalls of rows that a person accepted since, and return their days; the caller holds the build lock.

    The notice of it is kept before.

    Raises:
        BrokenReleaseError: the record of recalled days cannot be read.
    """
    recalled = [one for one in read_recalled(home.releases) if one.raw_fingerprint]
    if not recalled or not has_ledger(home):
        return []
    with open_ledger(home) as ledger:
        accepted = {
            (one.day, one.fingerprint): one
            for one in ledger.acceptances()
            if one.table == RAW_INTERACTIONS.name
        }
    found = [
        by
        for one in recalled
        if (by := accepted.get((one.day, one.raw_fingerprint))) is not None and by.accepted_at > one.at
    ]
    found = list(dict.fromkeys(found))
    if found:
        send_notice(home, settings.notify, taken_back_notice(home, found, read_recalls(home)))
    with locked(home.releases / MOVING):
        return [one.day for one in found if take_back(home.releases, one.day, {one.fingerprint})]


def _begin(
    home: Home, settings: Settings, days: tuple[date, ...], *, why: str, who: str
) -> UnfinishedRecall | RecordedRecall:
    """Record the intention, and return it; that of the same days where it is there, or a recall that was finished."""
    store = ReleaseStore(home.releases)
    with locked(home.releases / MOVING):
        unfinished = read_unfinished(home)
        begun = next((one for one in unfinished if set(one.days) <= set(days)), None)
        if begun is not None:
            return begun
        at = datetime.now(UTC)
        recall = _looked_up(home, settings, days, why=why, who=who, at=at, before=store.served_id())
        lineages = [m.lineage for m in store.list()]
        built_on = {(day, lineage[day]) for lineage in lineages for day in set(days) & lineage.keys()}
        there = {*(day for day, _ in built_on), *(one.day for one in recall.landed)}
        if not there:
            raise ReleaseError(
                f"{home.root}: no release was built on {spans_in_words(days)}, and none is in the lake; nothing to"
                " recall"
            )
        recall = msgspec.structs.replace(recall, days=tuple(sorted(there)))
        known = {(one.day, one.checksum) for one in read_recalled(home.releases)}
        if not recall.landed and built_on <= known:
            for recorded in reversed(read_recalls(home)):
                if there <= set(recorded.days):
                    return recorded
        write_unfinished(home, [*unfinished, recall])
        return recall


def _looked_up(
    home: Home,
    settings: Settings,
    days: tuple[date, ...],
    *,
    why: str,
    who: str,
    at: datetime,
    before: str | None,
) -> UnfinishedRecall:
    """Return the recall of the days' versions that are in the lake now."""
    inputs = Inputs(home, settings)
    landed, files = [], dict[str, dict[date, str]]()
    for day in days:
        raw, cleaned = inputs.raw_store.file(day), inputs.interaction_store.file(day)
        for table, file in ((RAW_INTERACTIONS.name, raw), (INTERACTIONS.name, cleaned)):
            if file is not None:
                files.setdefault(table, {})[day] = file.checksum
        if raw is None and cleaned is None:
            continue
        whole = raw is not None and raw.rows is not None
        landed.append(
            RecalledDay(
                day=day,
                checksum=cleaned.checksum if cleaned else "",
                at=at,
                why=why,
                who=who,
                raw_fingerprint=content_fingerprint(inputs.raw_store.read(day)) if whole else "",
                raw_inputs=raw.provenance.get(INPUTS_KEY, "") if raw is not None and whole else "",
            )
        )
    return UnfinishedRecall(
        at=at, who=who, why=why, days=days, before=before, landed=tuple(landed), files=files
    )


def _declare(home: Home, settings: Settings, recall: UnfinishedRecall) -> RecordedRecall:
    """Mark the days, move `current`, and keep the record and the notice."""
    store = ReleaseStore(home.releases)
    outcome = store.recall(recall.days, why=recall.why, who=recall.who, at=recall.at, landed=recall.landed)
    before = next((one for one in read_recalls(home) if one.at == recall.at), None)
    recorded = before or RecordedRecall(
        at=recall.at,
        who=recall.who,
        why=recall.why,
        days=recall.days,
        releases=tuple(outcome.releases),
        before=recall.before,
        current=outcome.current,
        answers=_answers(home, outcome.releases),
        exports=_exports(home, outcome.releases),
    )
    with locked(home.releases / MOVING):
        append_recall(home, recorded)
    send_notice(home, settings.notify, recall_notice(home, recorded))
    return recorded


def _answers(home: Home, releases: Sequence[str]) -> Mapping[str, int]:
    rewritten = Rewritten.load(home.releases)
    counts = {
        release: sum(
            one.answers
            for name in (release, *rewritten.former(release))
            for one in read_answers(home.answers_db, release=name)
        )
        for release in releases
    }
    return {release: number for release, number in counts.items() if number}


def _exports(home: Home, releases: Sequence[str]) -> tuple[str, ...]:
    """Return the places of lists of these releases, and of exports of which nobody knows the release."""
    found = (one for one in exports_of(home) if not one.releases or set(one.releases) & set(releases))
    return tuple(dict.fromkeys(path for one in found for path in one.paths or (one.target,)))


def _carry_out(home: Home, settings: Settings, recall: UnfinishedRecall, say: Say) -> None:
    """Move the days to quarantine, and mark them in Dagster."""
    inputs = Inputs(home, settings)
    stores = {INTERACTIONS.name: inputs.interaction_store, RAW_INTERACTIONS.name: inputs.raw_store}
    with open_ledger(home) as ledger:
        for day in recall.days:
            there = {
                table: store
                for table, store in stores.items()
                if (file := store.file(day)) is not None
                and file.checksum == recall.files.get(table, {}).get(day)
            }
            account = ledger.accounts(since=day).get(day)
            for table, store in there.items():
                result = recalled_result(table, day, recall.why)
                of_table = account if table == INTERACTIONS.name else None
                quarantine_day(
                    home.quarantine, day, store.read(day), [result], account=of_table, recalled=True
                )
                ledger.record([result], at=recall.at)
            ledger.flush()
            for store in there.values():
                store.remove(day)
    if any(recall.files.values()):
        write_home_account(home, settings.source)
        days = sorted({day for of_table in recall.files.values() for day in of_table})
        say(f"In quarantine: {spans_in_words(days)}")
        _mark(home, recall, days)


def _mark(home: Home, recall: UnfinishedRecall, days: Sequence[date]) -> None:
    if not home.dagster.is_dir():
        return
    from recsys_assets.orchestration.instance import open_instance, settle_history  # noqa: PLC0415  a second
    from recsys_assets.orchestration.recalled_days import mark_in_dagster  # noqa: PLC0415  as above

    with open_instance(home) as instance:
        mark_in_dagster(instance, home, days, why=recall.why, at=recall.at)
    settle_history(home)
