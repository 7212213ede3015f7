"""Forget users in everything beside the data: the intake, logs, notices, notes of commands, and the files of people.

Whatever file a later version adds to a home is searched here too, unless it is in a folder that another step has.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.events_of_home import opened_events
from recsys_assets.intake.shared_upkeep import forget_shared
from recsys_assets.lake.forgotten_rows import LeftOutRows
from recsys_assets.lake.raw_returns import raw_store
from recsys_assets.orchestration.forgetting.dagster_step import forget_in_dagster
from recsys_assets.orchestration.forgetting.exports_step import forget_in_exports
from recsys_assets.orchestration.forgetting.kept_rows_steps import forget_in_quality, forget_in_quarantine
from recsys_assets.orchestration.forgetting.reports_step import forget_in_reports
from recsys_assets.orchestration.forgetting.steps import ForgetStep
from recsys_assets.orchestration.forgetting.taken_out_databases import take_out_of_database
from recsys_assets.orchestration.forgetting.taken_out_files import take_out_of_file
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.atomic import remove_folder, replace_file
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.working_copy import ASIDE

_BESIDE: Final = re.compile(r".*(-wal|-shm|-journal)|\..*\.lock")
_GOLDEN: Final = "golden"
_HANDOVER: Final = "handover/"
"""Prefix of the objects that workers of a training hand over."""
_NOTE: Final = "a golden user was forgotten here (forget #{})"


def forget_in_intake(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Delete the users' events, impressions and merges from `events.sqlite`, and the server, while servers run.

    The file's `user_version` grows, by which every process that follows it reads it again from the start.
    """
    changed = 0
    try:
        with opened_events(home) as shared:
            if shared is not None:
                changed += forget_shared(shared, sorted(ids))
    except EventsUnavailableError as error:
        return StepResult(step="intake", detail="", unfinished=f"{error}; run `recsys forget` again")
    if home.events_db.exists():
        changed += take_out_of_database(home.events_db, WantedIds(ids), grow_version=True)
    detail = f"{changed:,} rows of events, impressions and merges (forget #{number})" if changed else ""
    return StepResult(step="intake", detail=detail, changed=changed)


def forget_in_logs(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Overwrite the ids in the logs of servers, which may run."""
    wanted = WantedIds(ids)
    files = [file for file in sorted(home.logs.rglob("*")) if file.is_file() and not file.is_symlink()]
    changed = sum(take_out_of_file(file, wanted, appended=file.suffix != ".gz") for file in files)
    detail = f"{changed:,} places in {len(files):,} logs (forget #{number})" if changed else ""
    return StepResult(step="logs", detail=detail, changed=changed)


def forget_in_other_files(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Take the users out of notices, recalls, plans, golden users, experiments, rules and all other files.

    `recsys.toml` stays as it is, since another word in it may land every day again: a user in it is left to people,
    and the forget stays unfinished until they took the name out. Files that were replaced by an object store's are
    removed, and what killed workers left in it.
    """
    wanted, changed, shown = WantedIds(ids), 0, []
    for kept in (home.copy / ASIDE, home.aside):
        remove_folder(kept)
    if place_of(home.root) is not None:
        objects = working_copy(home.root).objects
        objects.delete([one.key for one in objects.list(_HANDOVER)])
    for file in _other_files(home):
        if file == home.settings_file:
            continue
        found = _take_out_of_golden(file, wanted, number) if file == home.golden_file else 0
        found += take_out_of_file(file, wanted)
        if found:
            changed += found
            shown.append(wanted.blank(file.relative_to(home.root).as_posix())[0])
    detail = f"{changed:,} places in {', '.join(shown)} (forget #{number})" if shown else ""
    return StepResult(
        step="other files", detail=detail, changed=changed, unfinished=_in_settings(home, wanted)
    )


def forget_in_source(home: Home, ids: frozenset[str], *, number: int) -> StepResult:  # noqa: ARG001  as every step
    """Change nothing: say on how many days the source still has rows of the users, which somebody else has to remove.

    Downloaded files, which the scan does not read, are a part of the source.
    """
    files = raw_store(home).files().values()
    days = sum(number in LeftOutRows.of(file.provenance).forgets for file in files)
    spec = load_or_default_settings(home).source.spec
    detail = f"{spec} still has their rows on {days:,} days, which are left out at every landing; remove them there"
    return StepResult(step="source", detail=detail if days else "")


OTHER_STEPS: Final[tuple[tuple[str, ForgetStep], ...]] = (
    ("intake", forget_in_intake),
    ("quarantine", forget_in_quarantine),
    ("quality", forget_in_quality),
    ("reports", forget_in_reports),
    ("dagster", forget_in_dagster),
    ("exports", forget_in_exports),
    ("logs", forget_in_logs),
    ("other files", forget_in_other_files),
    ("source", forget_in_source),
)
"""Steps beside those of the lake, the artifacts and the releases, in their order."""


def _other_files(home: Home) -> Iterator[Path]:
    """Yield the files that no other step has; of releases those beside their folders."""
    elsewhere = (home.raw.parent, home.artifacts, home.quarantine, home.reports, home.dagster, home.exports)
    skipped = {*elsewhere, home.logs, home.downloads}
    own = {home.forgotten, home.unfinished_forgets, home.events_db, home.quality_db}
    for path in sorted(home.root.rglob("*")):
        if path.is_symlink() or not path.is_file() or path in own or _BESIDE.fullmatch(path.name):
            continue
        if skipped & set(path.parents) or home.releases in path.parent.parents:
            continue
        yield path


def _take_out_of_golden(file: Path, wanted: WantedIds, number: int) -> int:
    """Remove the golden users; the other entries and people's comments stay as they are."""
    text = file.read_text(encoding="utf-8", errors="surrogateescape")
    try:
        document = tomlkit.parse(text)
        entries = document[_GOLDEN]
        gone = [place for place, entry in enumerate(entries) if entry["user"] in wanted.ids]
    except (TOMLKitError, KeyError, TypeError):
        return 0  # nothing that a reader takes for a golden user
    if gone:
        for place in reversed(gone):
            del entries[place]
        if not entries:
            del document[_GOLDEN]
        note = f"# {_NOTE.format(number)}\n"
        replace_file(file, (note + tomlkit.dumps(document)).encode(errors="surrogateescape"))
    return len(gone)


def _in_settings(home: Home, wanted: WantedIds) -> str:
    if not home.settings_file.exists():
        return ""
    lines = home.settings_file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    found = [str(place) for place, line in enumerate(lines, start=1) if wanted.count_in_text(line)]
    if not found:
        return ""
    return (
        f"{home.settings_file} names the user in line {', '.join(found)}; take the name out, and run `recsys forget` "
        "again (another row rule lands the days again)"
    )
