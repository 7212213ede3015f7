"""Lists scored ahead of serving by the workers of a launcher, each a range of users or of items.

The workers read the embeddings and the index. On a disk that all of them see they write their rows into the files of
the lists, which are there already; else files and rows travel through the object store, by few large ranges.
A range that is done again writes the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
import numpy as np

from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.index.candidate_rows import (
    CANDIDATE_ITEMS,
    CANDIDATE_SCORES,
    CandidateInputs,
    blocks,
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
from recsys_assets.storage.arrays import Int32, map_array
from recsys_assets.storage.handover import Handover
from recsys_assets.storage.store_place import StorePlace

_BLOCKS_A_TASK: Final = 64
"""Least blocks of rows a task: 32,768 users, so that opening the embeddings is a small part of it."""
_TASKS: Final = 128
"""Most tasks: all of them are sent to a cluster as one line."""


class ListTask(msgspec.Struct, frozen=True, kw_only=True):
    """A range of the lists."""

    kind: Literal["exact", "index", "neighbours"]
    """Users' candidates by exact products or by the index, or items' neighbours."""
    embeddings: Handover
    """Folder of the embeddings."""
    index: Handover
    """Folder of the index and of the lists."""
    shape: tuple[int, int]
    """Rows and columns of all lists of the kind."""
    settings: IndexSettings
    """Of the index."""
    first: int
    """First user, or first place among the items that have neighbours."""
    last: int
    """The last one + 1."""
    block: int
    """Rows that are scored together."""

    @property
    def travels(self) -> bool:
        """True where the worker does not see the lists' files."""
        return self.index.place is not None

    @property
    def lists(self) -> tuple[str, str]:
        """Names of the two files that the rows belong to: item numbers and scores."""
        if self.kind == "neighbours":
            return NEIGHBOUR_ITEMS, NEIGHBOUR_SCORES
        return CANDIDATE_ITEMS, CANDIDATE_SCORES

    @property
    def parts(self) -> list[str]:
        """Names of the two files that the rows travel in."""
        return [f"parts/{self.first}-{name}" for name in self.lists]


def fill_lists(task: ListTask) -> int:
    """Fill the task's rows, and return the number of them."""
    with task.embeddings.received() as embeddings, task.index.received() as index:
        found = load_embeddings(embeddings)
        rows = list(blocks(task.last, task.block, start=task.first))
        lists = _opened(index, task)
        if task.kind == "neighbours":
            listed = listed_items(found.popular_items, task.settings)
            fill_neighbours(lists, item_factors(found), listed, rows, task.settings)
        else:
            inputs = CandidateInputs.of(found, index)
            fill_candidates(lists, inputs, rows, task.settings, exact=task.kind == "exact")
        for array in lists:
            array.flush()
        if task.travels:
            own = own_rows(task, found.popular_items)
            for name, array in zip(task.parts, lists, strict=True):
                (index / name).parent.mkdir(exist_ok=True)
                np.save(index / name, array[own], allow_pickle=False)
            task.index.send(index, task.parts)
    return task.last - task.first


def own_rows(task: ListTask, popular_items: Int32) -> slice | Int32:
    """Return the rows of the lists' files that a task fills."""
    own = slice(task.first, task.last)
    return listed_items(popular_items, task.settings)[own] if task.kind == "neighbours" else own


def _opened(folder: Path, task: ListTask) -> list[np.memmap[Any, Any]]:
    """Map the lists' files for writing; where rows travel, files of the worker's own, which have no bytes elsewhere."""
    if not task.travels:
        return [np.load(folder / name, mmap_mode="r+", allow_pickle=False) for name in task.lists]
    types = (np.int32, np.float32)
    return [
        np.lib.format.open_memmap(folder / name, "w+", dtype, task.shape)
        for name, dtype in zip(task.lists, types, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class ListWorkers:
    """The workers that fill lists."""

    launcher: Launcher
    """Runs them."""
    place: StorePlace | None = None
    """The object store that files travel through; None: the workers see this machine's folders."""
    shares: int = 1
    """Ranges that all rows are cut into where files travel, since each fetches all of them."""


class ListsApart:
    """Lists of one index that workers fill; what travelled is removed when the block ends."""

    def __init__(self, workers: ListWorkers, embeddings: Path, index: Path, settings: IndexSettings) -> None:
        """Begin with the folders of the embeddings and of the index, which is built but for its lists."""
        self._workers, self._settings = workers, settings
        self._embeddings = Handover(folder=str(embeddings.resolve()), place=workers.place)
        self._index = Handover(folder=str(index.resolve()), place=workers.place)

    def __enter__(self) -> Self:
        for files in (self._embeddings, self._index):
            files.send(Path(files.folder), _files(Path(files.folder)))
        return self

    def __exit__(self, *_: object) -> None:
        self._embeddings.remove()
        self._index.remove()

    def fill_candidates(self, rows: Sequence[slice], *, exact: bool) -> None:
        """Fill these users' candidates."""
        self._fill("exact" if exact else "index", rows)

    def fill_neighbours(self, rows: Sequence[slice]) -> None:
        """Fill the neighbours of these items."""
        self._fill("neighbours", rows)

    def _fill(self, kind: Literal["exact", "index", "neighbours"], rows: Sequence[slice]) -> None:
        if not rows:
            return
        travels = self._workers.place is not None
        most = self._workers.shares if travels else _TASKS
        share = max(1 if travels else _BLOCKS_A_TASK, -(-len(rows) // most))
        name = NEIGHBOUR_ITEMS if kind == "neighbours" else CANDIDATE_ITEMS
        height, width = map_array(Path(self._index.folder) / name).shape
        tasks = [
            ListTask(
                kind=kind,
                embeddings=self._embeddings,
                index=self._index,
                shape=(height, width),
                settings=self._settings,
                first=rows[first].start,
                last=rows[min(first + share, len(rows)) - 1].stop,
                block=rows[0].stop - rows[0].start,
            )
            for first in range(0, len(rows), share)
        ]
        for place, _ in self._workers.launcher.map(fill_lists, tasks):
            if travels:
                self._take(tasks[place])

    def _take(self, task: ListTask) -> None:
        """Write rows that have travelled into the lists' files."""
        folder = Path(self._index.folder)
        self._index.collect(task.parts)
        own = own_rows(task, load_embeddings(Path(self._embeddings.folder)).popular_items)
        for part, name in zip(task.parts, task.lists, strict=True):
            array = np.load(folder / name, mmap_mode="r+", allow_pickle=False)
            array[own] = map_array(folder / part)
            array.flush()
            (folder / part).unlink()
        (folder / task.parts[0]).parent.rmdir()


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
