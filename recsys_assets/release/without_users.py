"""The files of a release, or of an artifact, without some of their users: rows by user, ids and feature rows.

The other users' rows are byte for byte those before, under lower numbers. What was learnt from all users together
stays: item vectors, popularity, priors and counts of items are sums over many, in which nobody has a row.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from recsys_assets.evaluation.evaluated_users import EVALUATED_USERS_FILE, read_evaluated_users
from recsys_assets.storage.arrays import Bools, map_array
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets.storage.string_table import Vocabulary

_USERS: Final = "users"
_ROWS: Final = ("user_embeddings.npy", "candidates_items.npy", "candidates_scores.npy")
"""Arrays with a row a user."""
_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "history_indptr.npy": ("history_items.npy", "history_days.npy", "history_weights.npy"),
    "seen_indptr.npy": ("seen_items.npy",),
}
"""Where each user's entries start -> the entries."""


@dataclass(frozen=True, kw_only=True)
class GoneUsers:
    """Users who are removed."""

    ids: frozenset[str]
    """Their ids."""
    nums: list[int]
    """Their numbers in the vocabulary, ascending."""
    users: int
    """Number of users before."""

    @classmethod
    def of(cls, folder: Path, ids: frozenset[str]) -> "GoneUsers":
        """Look the ids up in the vocabulary in `folder`.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        known = Vocabulary.load(folder, _USERS)
        nums = sorted(num for num in known.nums(sorted(ids)).tolist() if num >= 0)
        return cls(ids=ids, nums=nums, users=len(known))

    @property
    def stay(self) -> Bools:
        """True for each user who stays, (users,)."""
        found = np.ones(self.users, dtype=np.bool_)
        found[self.nums] = False
        return found


def has_users(folder: Path, ids: frozenset[str]) -> bool:
    """Return whether any file of a release or an artifact has one of these users.

    Raises:
        OSError, ValueError, sqlite3.Error, BrokenReleaseError: a file cannot be read.
    """
    if (folder / f"{_USERS}.offsets.npy").exists() and GoneUsers.of(folder, ids).nums:
        return True
    evaluated = read_evaluated_users(folder)
    if evaluated is not None and not ids.isdisjoint(evaluated.user_ids):
        return True
    return (folder / FEATURE_DATABASE).exists() and _has_features(folder / FEATURE_DATABASE, ids)


def write_without_users(folder: Path, target: Path, gone: GoneUsers) -> list[str]:
    """Write those files of `folder` that have rows by user into `target`, without the users; return their names.

    Files that are already without them, and all others, are left to the caller. One array at a time is in memory.

    Raises:
        OSError, ValueError, sqlite3.Error, BrokenReleaseError: a file cannot be read or written.
    """
    written = []
    for names, write in _writers(folder, gone):
        if all((folder / name).is_file() for name in names):
            write(folder, target, gone)
            written += names
    return written


_Write = Callable[[Path, Path, GoneUsers], None]


def _writers(folder: Path, gone: GoneUsers) -> list[tuple[list[str], _Write]]:
    """Return names of files that belong together, and the function that writes them."""
    by_num: list[tuple[list[str], _Write]] = []
    if gone.nums:
        by_num = [
            ([f"{_USERS}.{part}.npy" for part in ("offsets", "bytes", "hash")], _write_vocabulary),
            *(([name], _rows_writer(name)) for name in _ROWS if _is_by_user(folder / name, gone)),
            *(
                ([starts, *entries], _lists_writer(starts, entries))
                for starts, entries in _LISTS.items()
                if _is_by_user(folder / starts, gone, more=1)
            ),
        ]
    return [*by_num, ([EVALUATED_USERS_FILE], _write_evaluated), ([FEATURE_DATABASE], _write_features)]


def _is_by_user(file: Path, gone: GoneUsers, *, more: int = 0) -> bool:
    return file.is_file() and len(map_array(file)) == gone.users + more


def _write_vocabulary(folder: Path, target: Path, gone: GoneUsers) -> None:
    kept = (user for user in Vocabulary.load(folder, _USERS) if user not in gone.ids)
    Vocabulary.from_strings(kept).save(target, _USERS)


def _rows_writer(name: str) -> _Write:
    def write(folder: Path, target: Path, gone: GoneUsers) -> None:
        _save(target / name, np.delete(map_array(folder / name), gone.nums, axis=0))

    return write


def _lists_writer(starts: str, entries: tuple[str, ...]) -> _Write:
    def write(folder: Path, target: Path, gone: GoneUsers) -> None:
        lengths = np.diff(map_array(folder / starts))
        indptr = np.zeros(gone.users - len(gone.nums) + 1, dtype=np.int64)
        np.cumsum(lengths[gone.stay], out=indptr[1:])
        _save(target / starts, indptr)
        kept = np.repeat(gone.stay, lengths)
        for name in entries:
            _save(target / name, map_array(folder / name)[kept])

    return write


def _save(file: Path, array: npt.NDArray[Any]) -> None:
    np.save(file, array, allow_pickle=False)


def _write_evaluated(folder: Path, target: Path, gone: GoneUsers) -> None:
    """Leave out the users' own figures; the means over all stay as they were measured."""
    found = read_evaluated_users(folder)
    if found is None:
        return
    kept = [place for place, user in enumerate(found.user_ids) if user not in gone.ids]
    msgspec.structs.replace(
        found,
        user_ids=[found.user_ids[place] for place in kept],
        ndcg={model: [values[place] for place in kept] for model, values in found.ndcg.items()},
        recall={model: [values[place] for place in kept] for model, values in found.recall.items()},
    ).save(target)


def _write_features(folder: Path, target: Path, gone: GoneUsers) -> None:
    """Remove the rows, and compact the file, so that no freed page and no statistic has them."""
    file = target / FEATURE_DATABASE
    copyfile(folder / FEATURE_DATABASE, file)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executemany("DELETE FROM user_features WHERE user_id = ?", [(one,) for one in gone.ids])
        connection.execute("ANALYZE")
        connection.execute("VACUUM")


def _has_features(file: Path, ids: frozenset[str]) -> bool:
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
        query = "SELECT 1 FROM user_features WHERE user_id = ?"
        return any(connection.execute(query, (one,)).fetchone() for one in ids)
