"""Why a day or an artifact is stale, in words: from the parts recorded with it and those of now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from recsys_assets.lake.day_content import DayContent, source_part
from recsys_assets.lake.event_rows import events_of
from recsys_assets.lake.follow import CONTENT_KEY
from recsys_assets.orchestration.fingerprints import (
    CODE_KEY,
    CODE_VERSIONS,
    RAW_KEY,
    READING_KEY,
    RULES_KEY,
    Inputs,
)
from recsys_assets.orchestration.planning.artifact_parts import (
    CATALOGUE,
    CODE,
    DAYS,
    MAPPING,
    RULES,
    SOURCE,
)
from recsys_assets.orchestration.run_results import counted
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.day_journal import DayFile

NO_HISTORY: Final = "missing in Dagster's history"
MISSING: Final = "missing"
EARLIER: Final = "built by an earlier version, whose record has no parts"
CHANGED_IN_SOURCE: Final = "changed in the source"
NEW_IN_SOURCE: Final = "came to the source"
_NOT_MADE: Final = {True: "not made yet", False: MISSING}
_UPSTREAM: Final = {
    "choice": "model_choice",
    "embeddings": "embeddings",
    "evaluation": "evaluation",
    "features": "features",
    "index": "item_index",
    "release": "release",
}
"""Part -> what is built before the artifact."""
_OTHERS: Final = {
    CATALOGUE: "the item catalogue changed",
    RULES: "the rules changed",
    MAPPING: "the mapping of the source changed",
    SOURCE: "the files of the source changed",
}


def why_raw(inputs: Inputs, day: date, *, recorded: bool) -> str:
    """Return why a raw day is stale: the first reason that holds."""
    file = inputs.raw_files.get(day)
    if file is None:
        if day in days_under(inputs.home.quarantine):
            return "in quarantine, tried again"
        if inputs.raw_files:
            return _events_in_words(inputs, day) if only_events(inputs, day) else NEW_IN_SOURCE
        return "not landed yet"
    now = inputs.landing(day)
    if file.rows is None:
        return "damaged"
    if CONTENT_KEY in file.provenance and file.provenance[CONTENT_KEY] != now[CONTENT_KEY]:
        given, wanted = file.provenance[CONTENT_KEY], now[CONTENT_KEY]
        by_source = source_part(given) != source_part(wanted)
        return CHANGED_IN_SOURCE if by_source else _events_in_words(inputs, day)
    return _why_day(
        file,
        now,
        asset="raw_interactions",
        names={READING_KEY: _OTHERS[MAPPING]},
        recorded=recorded,
    )


def only_events(inputs: Inputs, day: date) -> bool:
    """Return True for a day of which the source has no row, and that has events by HTTP."""
    found = inputs.source_days.of_day(day) if inputs.source_days else DayContent()
    return found.events is not None and not found.of_source


def _events_in_words(inputs: Inputs, day: date) -> str:
    """Return in words why a day's events by HTTP make it stale."""
    events = inputs.source_days.events.get(day) if inputs.source_days else None
    file = inputs.raw_files.get(day)
    landed = sum(events_of(file)) if file is not None else 0
    if events is None:
        return "its events by HTTP are gone"
    if events.rows == landed:
        return "landed before it was over"
    return f"{counted(events.rows - landed, 'event')} by HTTP"


def why_cleaned(inputs: Inputs, day: date, *, recorded: bool) -> str:
    """Return why a cleaned day is stale: the first reason that holds."""
    file = inputs.interaction_files.get(day)
    if file is None:
        return "not cleaned yet"
    if file.rows is None:
        return "damaged"
    names = {RAW_KEY: "the raw day changed", RULES_KEY: "[interactions] changed"}
    found = _why_day(file, inputs.cleaning(day), asset="interactions", names=names, recorded=recorded)
    if found == EARLIER and RAW_KEY in file.provenance:
        return "returns on other days changed"
    return found


def _why_day(
    file: DayFile, now: Mapping[str, str], *, asset: str, names: Mapping[str, str], recorded: bool
) -> str:
    version = file.provenance.get(CODE_KEY)
    if version is not None and version != CODE_VERSIONS[asset]:
        return _code(version, CODE_VERSIONS[asset])
    for key, words in names.items():
        if key in file.provenance and file.provenance[key] != now[key]:
            return words
    same = all(file.provenance.get(key) == value for key, value in now.items())
    return NO_HISTORY if same and not recorded else EARLIER


def grouped(reasons: Mapping[date, str]) -> list[str]:
    """Return a line a reason: the reason, the number of its days, and these where they are few."""
    days_of: dict[str, list[date]] = {}
    for day, reason in reasons.items():
        days_of.setdefault(reason, []).append(day)
    return [f"{reason}: {days_in_words(days)}" for reason, days in days_of.items()]


def days_in_words(days: Sequence[date]) -> str:
    """Return `1 day, 2017-01-01`, or `3 days, 2017-01-01 to 2017-01-03`, or with `between` where some are left out."""
    first, last = min(days), max(days)
    if len(days) == 1:
        return f"1 day, {first}"
    all_of_them = last - first == timedelta(days=len(days) - 1)
    span = f"{first} to {last}"
    return f"{counted(len(days), 'day')}, {span}" if all_of_them else f"{len(days):,} days within {span}"


def why_artifact(
    before: Mapping[str, Any], now: Mapping[str, Any], *, exists: bool, written: bool, recorded: bool
) -> list[str]:
    """Return why an artifact is stale, a line a part that changed.

    Args:
        before: the parts recorded with it; empty where there are none.
        now: its parts now.
        exists: its file or folder is there.
        written: it was finished and is as it was made.
        recorded: Dagster's history has it.
    """
    if not written:
        return ["damaged, or not finished"] if exists and before else [_NOT_MADE[not before]]
    if not before:
        return [EARLIER]
    changed = [name for name, value in now.items() if before.get(name) != value]
    upstream = [_UPSTREAM[name] for name in changed if name in _UPSTREAM]
    found = [
        line for name in changed if name not in _UPSTREAM for line in _line(name, before.get(name), now[name])
    ]
    found += [f"built again: {', '.join(upstream)}"] if upstream else []
    found += [words for name, words in _OTHERS.items() if name in changed]
    return found or ([] if recorded else [NO_HISTORY])


def _line(name: str, before: Any, now: Any) -> Iterable[str]:
    if name == CODE:
        return [_code(str(before), str(now))]
    if name == DAYS:
        return days_changed(before or {}, now)
    if name.startswith("["):
        return settings_changed(name, before or {}, now)
    return [] if name in _OTHERS else [f"{name} changed"]


def days_changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a line each on days added, changed and gone."""
    groups = {
        "added": [day for day in now if day not in before],
        "changed": [day for day in now if day in before and before[day] != now[day]],
        "gone": [day for day in before if day not in now],
    }
    return [
        f"days {name}: {days_in_words([date.fromisoformat(day) for day in days])}"
        for name, days in groups.items()
        if days
    ]


def settings_changed(section: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line a field that differs, as `[training] regularization 0.0 → 0.03`; inner tables by their fields."""
    lines = []
    for name in dict.fromkeys([*before, *now]):
        one, other = before.get(name), now.get(name)
        if one == other:
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            lines += settings_changed(f"{section} {name}.", one, other)
        else:
            space = "" if section.endswith(".") else " "
            lines.append(f"{section}{space}{name} {_value(one)} → {_value(other)}")
    return lines


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _code(before: str, now: str) -> str:
    return f"code: version {before} → {now}"
