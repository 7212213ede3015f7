"""Lists scored ahead of serving by the workers of a launcher, each a range of users or of items.

The workers read the embeddings and the index, and write their rows into the files of the lists, which are there
already: one disk is seen by all of them. A range that is done again writes the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.index.candidate_rows import (
    CANDIDATE_ITEMS,
    CANDIDATE_SCORES,
    CandidateInputs,
    fill_candidates,
)
from recsys_assets.index.neighbour_rows import (
    NEIGHBOUR_ITEMS,
    NEIGHBOUR_SCORES,
    fill_neighbours,
    item_factors,
    listed_items,
)
from recsys_assets.launching.launcher import Launcher
from recsys_assets.settings import IndexSettings

_BLOCKS_A_TASK: Final = 64
"""Blocks of rows a task: 32,768 users, so that opening the embeddings is a small part of it."""


class ListTask(msgspec.Struct, frozen=True, kw_only=True):
    """A range of the lists."""

    kind: Literal["exact", "index", "neighbours"]
    """Users' candidates by exact products or by the index, or items' neighbours."""
    embeddings: str
    """Folder of the embeddings."""
    index: str
    """Folder of the index and of the lists."""
    settings: IndexSettings
    """Of the index."""
    rows: list[tuple[int, int]]
    """Blocks: users, or places among the items that have neighbours; first and last + 1."""


def fill_lists(task: ListTask) -> int:
    """Fill the task's rows, and return the number of them."""
    found, folder = load_embeddings(Path(task.embeddings)), Path(task.index)
    rows = [slice(first, last) for first, last in task.rows]
    if task.kind == "neighbours":
        lists = _opened(folder, NEIGHBOUR_ITEMS, NEIGHBOUR_SCORES)
        listed = listed_items(found.popular_items, task.settings)
        fill_neighbours(lists, item_factors(found), listed, rows, task.settings)
    else:
        lists = _opened(folder, CANDIDATE_ITEMS, CANDIDATE_SCORES)
        inputs = CandidateInputs.of(found, folder)
        fill_candidates(lists, inputs, rows, task.settings, exact=task.kind == "exact")
    for array in lists:
        array.flush()
    return sum(block.stop - block.start for block in rows)


def _opened(folder: Path, *names: str) -> list[np.memmap[Any, Any]]:
    return [np.load(folder / name, mmap_mode="r+", allow_pickle=False) for name in names]


class ListsApart:
    """Lists of one index that a launcher's workers fill."""

    def __init__(self, launcher: Launcher, embeddings: Path, index: Path, settings: IndexSettings) -> None:
        """Begin; both folders are seen by the workers."""
        self._launcher, self._embeddings, self._index = launcher, embeddings, index
        self._settings = settings

    def fill_candidates(self, rows: Sequence[slice], *, exact: bool) -> None:
        """Fill these users' candidates."""
        self._fill("exact" if exact else "index", rows)

    def fill_neighbours(self, rows: Sequence[slice]) -> None:
        """Fill the neighbours of these items."""
        self._fill("neighbours", rows)

    def _fill(self, kind: Literal["exact", "index", "neighbours"], rows: Sequence[slice]) -> None:
        tasks = [
            ListTask(
                kind=kind,
                embeddings=str(self._embeddings.resolve()),
                index=str(self._index.resolve()),
                settings=self._settings,
                rows=[(block.start, block.stop) for block in rows[first : first + _BLOCKS_A_TASK]],
            )
            for first in range(0, len(rows), _BLOCKS_A_TASK)
        ]
        for _ in self._launcher.map(fill_lists, tasks):
            pass
