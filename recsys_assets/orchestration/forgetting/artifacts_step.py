"""Forgetting users in the artifacts: embeddings, evaluation, features and the lists computed ahead.

An artifact that was fresh is recorded as made from the rewritten days, since training again would cost hours: item
vectors, popularity and priors keep the users' anonymous part until the next training. One that was stale stays so.
"""

import sqlite3
from pathlib import Path
from typing import Final

from recsys_assets.errors import ReleaseError
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.forgetting.changed_files import planned
from recsys_assets.orchestration.planning.artifact_parts import parts_of
from recsys_assets.orchestration.repair.made_artifacts import (
    forget_inputs,
    making,
    written_inputs,
    written_parts,
)
from recsys_assets.release.rewrite_release import link_others
from recsys_assets.release.without_users import GoneUsers, has_users, write_without_users
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.arrays import map_array
from recsys_assets.storage.atomic import remove_folder, replaced_folder
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home

ARTIFACTS: Final = "artifacts"
_OF_USERS: Final = ("embeddings", "evaluation", "features", "index")
"""Artifacts with rows by user, in the order in which they were built."""
_FRESH_AFTER: Final = ("choice", *_OF_USERS)
_UNREADABLE: Final = (OSError, ValueError, sqlite3.Error, ReleaseError)


def forget_in_artifacts(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Remove the users from every artifact; see `ForgetStep`. A damaged one is removed, and built again later."""
    changes = planned(home, ids, number=number)
    gone = GoneUsers(ids=ids, nums=changes.nums, users=changes.users)
    settings, files, rebuilt = load_or_default_settings(home), list[str](), []
    for name in _FRESH_AFTER:
        folder = home.artifact(name)
        if not folder.is_dir():
            continue
        was, parts = written_inputs(folder), written_parts(folder)
        try:
            rewritten = _rewrite(folder, gone) if name in _OF_USERS else []
        except _UNREADABLE:
            forget_inputs(folder)
            remove_folder(folder)
            rebuilt.append(name)
            continue
        files += rewritten
        inputs = Inputs(home, settings)
        if name in changes.fresh_artifacts and written_inputs(folder) != inputs.of_artifact(name):
            was, parts, rewritten = inputs.of_artifact(name), parts_of(inputs, name), [name]
        if was and rewritten:
            with making(folder, inputs=was, parts=parts):
                pass
    again = f"; damaged, so that the next build makes them again: {', '.join(rebuilt)}" if rebuilt else ""
    detail = f"{len(files):,} files rewritten{again}" if files or rebuilt else ""
    return StepResult(step=ARTIFACTS, detail=detail, changed=len(files))


def _rewrite(folder: Path, gone: GoneUsers) -> list[str]:
    """Replace the artifact by one without the users; nothing happens where it has none. Return the files written."""
    lists = folder / "candidates_items.npy"
    lists_have = bool(gone.nums) and lists.is_file() and _rows(lists) == gone.users
    if not lists_have and not has_users(folder, gone.ids):
        return []
    with replaced_folder(folder) as staged:
        written = write_without_users(folder, staged, gone)
        link_others(folder, staged, without=written)
    return [f"{folder.name}/{name}" for name in written]


def _rows(file: Path) -> int:
    return len(map_array(file))
