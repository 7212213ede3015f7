"""Recalls and replays in words: the notices to everybody who used their days, and the lines of the command."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from recsys_assets.notices.outbox import Notice
from recsys_assets.orchestration.landing_plan import stretches
from recsys_assets.quality.check_ledger import Acceptance
from recsys_assets.release.recalls import RecordedRecall
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.orchestration.replay_report import ReplayReport


def recall_notice(home: Home, recall: RecordedRecall) -> Notice:
    """Return the notice: days, releases, answers and exports, what was done and what to do next."""
    return Notice(
        id=f"recall-{recall.at:%Y%m%dT%H%M%S%f}",
        at=recall.at,
        kind="recall",
        subject=f"Recalled: {spans_in_words(recall.days)}: {' '.join(recall.why.split())}",
        text="\n".join(recall_lines(home, recall)),
        details={"home": str(home.root), **msgspec.to_builtins(recall)},
    )


def taken_back_notice(
    home: Home, accepted: Sequence[Acceptance], recalls: Sequence[RecordedRecall]
) -> Notice:
    """Return the notice that recalled rows are good after all.

    Args:
        home: the home.
        accepted: who accepted them, at least one.
        recalls: every recall of the home.
    """
    days, last = sorted({one.day for one in accepted}), max(accepted, key=lambda one: one.accepted_at)
    releases = dict.fromkeys(
        release for one in recalls if not set(days).isdisjoint(one.days) for release in one.releases
    )
    words, why = spans_in_words(days), "; ".join(dict.fromkeys(one.why for one in accepted))
    one = len(days) == 1
    text = [
        f"The recall of {words} was taken back by {last.who} at {last.accepted_at:%Y-%m-%d %H:%M} UTC: {why}",
        f"{'Its' if one else 'Their'} rows are in use again, as they were.",
        f"Built on {'it' if one else 'them'}: {', '.join(releases) or 'no release'}.",
        f"Next: recsys build{home.option}",
        "An earlier release can be served again where none of its days is recalled:",
        f"recsys releases promote ID{home.option}",
    ]
    return Notice(
        id=f"recall-taken-back-{last.accepted_at:%Y%m%dT%H%M%S%f}",
        at=last.accepted_at,
        kind="recall_taken_back",
        subject=f"Recall taken back: {words}: {' '.join(why.split())}",
        text="\n".join(text),
        details={
            "home": str(home.root),
            "days": [str(day) for day in days],
            "who": last.who,
            "why": why,
            "releases": list(releases),
        },
    )


def recall_lines(home: Home, recall: RecordedRecall) -> list[str]:
    """Return the lines on a recall."""
    days, one = spans_in_words(recall.days), len(recall.days) == 1
    by = f" by {recall.who}" if recall.who else ""
    lines = [
        f"{days} {'was' if one else 'were'} recalled{by} at {recall.at:%Y-%m-%d %H:%M} UTC: {recall.why}"
    ]
    lines.append(f"Built on {'it' if one else 'them'}: {', '.join(recall.releases) or 'no release'}.")
    lines.append(_current_in_words(recall))
    if recall.answers:
        of_each = ", ".join(f"{release} {number:,}" for release, number in recall.answers.items())
        lines.append(f"Answers given from these releases: {sum(recall.answers.values()):,} ({of_each}).")
    else:
        lines.append("Answers given from these releases: none were counted.")
    lines.append(f"Lists exported from these releases: {', '.join(recall.exports) or 'none'}.")
    kept = "its rows are" if one else "their rows are"
    lines.append(
        f"Done: no release built on {'it' if one else 'them'} is served any more; {kept} in quarantine."
        if not is_served(recall)
        else f"Done: {kept} in quarantine."
    )
    lines.append(
        f"Next: correct {'the day' if one else 'the days'} in the source, then `recsys build{home.option}`; until then"
        " a build trains without. To take the recall back:"
        f" `recsys quarantine accept {spans(recall.days)}{home.option} --why TEXT`."
    )
    return lines


def replay_notice(home: Home, report: "ReplayReport") -> Notice:
    """Return the notice of a replay: the release served now and before, the change of lists, or the failure."""
    requested = spans_in_words([day.day for day in report.days if day.state != "cleaned"])
    by = f" by {report.who}" if report.who else ""
    found = f"{report.current} is served" if not report.problems else "it failed"
    counts = {day.state: sum(one.state == day.state for one in report.days) for day in report.days}
    text = [
        f"{requested} landed again from the source, at {report.at:%Y-%m-%d %H:%M} UTC{by}, {report.training}.",
        f"Days: {', '.join(f'{number:,} {state}' for state, number in counts.items())}.",
        *(f"Failed: {problem}" for problem in report.problems),
        f"Current: {report.current or 'none'}; compared with {report.compared_with or 'none'}.",
    ]
    if report.diff is not None:
        text.append(f"Lists: {report.diff.lists.in_words()}.")
    text.append(f"Look: recsys replay --show {report.replay}{home.option}")
    return Notice(
        id=f"replay-{report.replay}",
        at=report.at,
        kind="replay",
        subject=f"Replayed: {requested}: {found}",
        text="\n".join(text),
        details={"home": str(home.root), **msgspec.to_builtins(msgspec.structs.replace(report, diff=None))},
    )


def is_served(recall: RecordedRecall) -> bool:
    """Return True where a release built on the recalled days stays current, since no other is left."""
    return recall.current is not None and recall.current in recall.releases


def _current_in_words(recall: RecordedRecall) -> str:
    if is_served(recall):
        return (
            f"Current: {recall.current} STAYS current though it was built on recalled days, since no clean release"
            " is left: run `recsys build`."
        )
    if recall.current == recall.before:
        return f"Current: {recall.current or 'none'}, which was not built on recalled days."
    return f"Current: {recall.current}, the newest clean release; before it was {recall.before}."


def spans(days: Sequence[date]) -> str:
    """Return days as arguments of a command: `2017-02-10 2017-02-12..2017-02-14`."""
    found = stretches(days, gap=0)
    return " ".join(f"{first}" if first == last else f"{first}..{last}" for first, last in found)


def spans_in_words(days: Sequence[date]) -> str:
    """Return days for people: `2017-02-10, 2017-02-12 to 2017-02-14`."""
    found = stretches(days, gap=0)
    return ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in found)
