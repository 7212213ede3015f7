"""An open release: everything memory-mapped, in milliseconds, whatever its size; and a user's best unseen items.

The API imports this: neither torch, dagster, pandera nor polars.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.score_parts import RelatedByUser, ScoreParts
from recsys_assets.errors import BrokenReleaseError
from recsys_assets.features.feature_store import FeatureStore
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.release.current import require_current
from recsys_assets.release.manifest import (
    WAY_OUT,
    Manifest,
    check_sizes,
    check_sums,
    check_sums_once,
    read_manifest,
)
from recsys_assets.release.retrieval import NOTHING, Candidates, LeftOut, Retrieval, first_of_row
from recsys_assets.release.taste import Taste
from recsys_assets.release.vector_since import VectorsSince
from recsys_assets.storage.arrays import Float32, Int32, Int64, map_array
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets.storage.string_table import StringTable, Vocabulary

TITLES: Final = "titles"
CATEGORIES: Final = "categories"


@dataclass(frozen=True, kw_only=True)
class Release:
    """An open release.

    Shapes: U users, I items, D embedding_size, n wishes, s seen pairs, C candidates, N neighbours.
    """

    folder: Path
    """Its folder."""
    manifest: Manifest
    """Its id, days, counts and checksums."""
    users: Vocabulary
    """U ids."""
    items: Vocabulary
    """I ids."""
    user_embeddings: Float32
    """(U, D)."""
    item_embeddings: Float32
    """(I, D)."""
    history_indptr: Int64
    """Start of each user's history, the wishes, U + 1."""
    history_items: Int32
    """Item numbers, most recent first within a user, n."""
    history_days: Int32
    """Day of the last event with each, days since 1970-01-01, n."""
    history_weights: Float32
    """Confidence in each, n."""
    seen_indptr: Int64
    """Start of each user's seen items, U + 1."""
    seen_items: Int32
    """Item numbers that are not recommended to the user again: wishes and all else seen, ascending, s."""
    popular_items: Int32
    """Item numbers, most popular first, I."""
    popular_scores: Float32
    """Their recency-weighted popularity, I."""
    candidates_items: Int32 | None
    """(U, C): each user's best unseen items, -1 where there are fewer; None where the build kept none."""
    candidates_scores: Float32 | None
    """(U, C): their scores, descending, -inf where there are fewer."""
    neighbours_items: Int32 | None
    """(I, N): nearest items by cosine, -1 where there are fewer; a row of -1 was not computed ahead."""
    neighbours_scores: Float32 | None
    """(I, N): their cosines, descending."""
    titles: StringTable
    """I titles, empty where unknown."""
    categories: StringTable
    """I categories, empty where unknown."""
    index: ItemIndex
    """Items by inner product."""
    score: ScoreParts
    """The parts of the score beside the vectors."""
    features: FeatureStore
    """Feature tables and search by words."""

    @property
    def release_id(self) -> str:
        """The id that answers name."""
        return self.manifest.release_id

    @cached_property
    def retrieval(self) -> Retrieval:
        """The best items for any vector."""
        search_us = self.index.report.chosen.query_us
        return Retrieval(self.item_embeddings, self.index, search_us=search_us)

    def history(self, user_num: int) -> Int32:
        """The item numbers of a user's wishes, each once, most recent first."""
        starts = self.history_indptr
        return self.history_items[starts[user_num] : starts[user_num + 1]]

    def seen(self, user_num: int) -> Int32:
        """The item numbers that are not recommended to a user again, each once, ascending."""
        starts = self.seen_indptr
        return self.seen_items[starts[user_num] : starts[user_num + 1]]

    @cached_property
    def item_factors(self) -> Float32:
        """(I, F): the dimensions that a likeness of items is taken from. Index it by numbers; `take` copies it all."""
        return self.item_embeddings[:, : self.score.recipe.factor_size]

    @cached_property
    def related(self) -> RelatedByUser | None:
        """The related part of every user's score; None where the model has none."""
        return RelatedByUser.of(self.score, self)

    @cached_property
    def vectors_since(self) -> VectorsSince:
        """The vectors of users who did something since the release."""
        return VectorsSince.of(self.score.fold_in, self.user_embeddings, self)

    def taste_of_user(self, user_num: int, since: Sequence[int] = ()) -> Taste:
        """Return the scores of a user; the items `since` the release, each once, count as the latest wishes."""
        related = None if self.related is None else self.related.of_user(user_num, since)
        x_D = self.vectors_since.of_user(user_num, since) if since else self.user_embeddings[user_num]
        return Taste(self.retrieval, x_D, related)

    def taste_of_items(self, nums: Sequence[int]) -> Taste:
        """Return the scores of a session of items, each once.

        Raises:
            EmptyHistoryError: there are none.
        """
        x_D = self.score.fold_in.embed(np.asarray(nums, dtype=np.int64))
        return Taste(self.retrieval, x_D, None if self.related is None else self.related.of_items(nums))

    def taste_like_item(self, num: int) -> Taste:
        """Return every item's likeness to one item: the inner product of their factors."""
        x_D = np.zeros(self.item_embeddings.shape[1], dtype=np.float32)
        x_D[: self.score.recipe.factor_size] = self.item_factors[num]
        return Taste(self.retrieval, x_D)

    def best_unseen(
        self,
        user_num: int,
        count: int,
        *,
        blocked: Collection[int] = (),
        since: Sequence[int] = (),
        may_block: bool = True,
    ) -> Candidates:
        """Return a user's best items that are neither seen nor blocked.

        They are the beginning of the row computed ahead where that holds enough, else a search with the seen items
        left out.

        Args:
            user_num: the user.
            count: how many; fewer only where no more are left.
            blocked: more item numbers never to return.
            since: the user's items since the release, each once; they change the scores of all items.
            may_block: whether a search of a large catalogue may take its time here.

        Raises:
            WouldBlockError: the search is slow, and `may_block` is False.
        """
        if count <= 0:
            return NOTHING
        items_UC, scores_UC = self.candidates_items, self.candidates_scores
        if items_UC is not None and scores_UC is not None and not since:
            ahead = first_of_row(items_UC, scores_UC, user_num, count, blocked)
            if ahead is not None:
                return ahead
        seen = frozenset(self.seen(user_num).tolist())
        if isinstance(blocked, LeftOut):
            every: Collection[int] = LeftOut(seen.union(blocked.few), blocked.mask_I, blocked.masked)
        else:
            every = seen.union(blocked)
        return self.taste_of_user(user_num, since).top(count, blocked=every, may_block=may_block)


def load_release(folder: Path, *, verify: bool = True) -> Release:
    """Open the release in `folder`.

    Args:
        folder: `<releases>/<id>`.
        verify: compare the checksum of every file that was not verified before or has changed since
            (see `manifest`), about 1 s a gigabyte; without it only the presence and size of each are checked.

    Raises:
        BrokenReleaseError: a file is missing, differs, or does not fit the others.
    """
    manifest = read_manifest(folder)
    (check_sums_once if verify else check_sizes)(folder, manifest)
    try:
        release = _opened(folder, manifest)
    except _UNREADABLE as error:
        check_sums(folder, manifest)  # names the file whose content is not as published
        raise BrokenReleaseError(f"{folder}: cannot be opened ({error}); {WAY_OUT}") from error
    _check_lengths(release)
    return release


_UNREADABLE: Final = (OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, RecursionError)
"""Errors of readers whose file has the right size and another content."""


def _opened(folder: Path, manifest: Manifest) -> Release:
    items = Vocabulary.load(folder, "items")
    item_embeddings = _map(folder, "item_embeddings")
    return Release(
        folder=folder,
        manifest=manifest,
        users=Vocabulary.load(folder, "users"),
        items=items,
        user_embeddings=_map(folder, "user_embeddings"),
        item_embeddings=item_embeddings,
        history_indptr=_map(folder, "history_indptr"),
        history_items=_map(folder, "history_items"),
        history_days=_map(folder, "history_days"),
        history_weights=_map(folder, "history_weights"),
        seen_indptr=_map(folder, "seen_indptr"),
        seen_items=_map(folder, "seen_items"),
        popular_items=_map(folder, "popular_items"),
        popular_scores=_map(folder, "popular_scores"),
        candidates_items=_map_if_there(folder, "candidates_items"),
        candidates_scores=_map_if_there(folder, "candidates_scores"),
        neighbours_items=_map_if_there(folder, "neighbours_items"),
        neighbours_scores=_map_if_there(folder, "neighbours_scores"),
        titles=StringTable.load(folder, TITLES),
        categories=StringTable.load(folder, CATEGORIES),
        index=ItemIndex.load(folder),
        score=ScoreParts.load(folder, item_embeddings),
        features=FeatureStore(folder / FEATURE_DATABASE),
    )


def load_current(releases: Path, *, verify: bool = False) -> Release:
    """Open the current release of the folder `releases`; `verify` as for `load_release`.

    Raises:
        ReleaseError: no release is current, or it is broken.
    """
    return load_release(releases / require_current(releases), verify=verify)


def load_item_ids(folder: Path) -> StringTable:
    """Open the item ids of the release in `folder` by number, and nothing else of it.

    Raises:
        BrokenReleaseError: they cannot be opened.
    """
    try:
        return StringTable.load(folder, "items")
    except _UNREADABLE as error:
        raise BrokenReleaseError(f"{folder}: cannot be opened ({error}); {WAY_OUT}") from error


def _check_lengths(release: Release) -> None:
    users, items = len(release.users), len(release.items)
    lengths = {
        "user_embeddings": (len(release.user_embeddings), users),
        "item_embeddings": (len(release.item_embeddings), items),
        "history_indptr": (len(release.history_indptr), users + 1),
        "history_items": (len(release.history_items), int(release.history_indptr[-1])),
        "seen_indptr": (len(release.seen_indptr), users + 1),
        "seen_items": (len(release.seen_items), int(release.seen_indptr[-1])),
        "popular_items": (len(release.popular_items), items),
        "titles": (len(release.titles), items),
        "item_index": (len(release.index), items),
    }
    score = release.score
    optional = {
        "candidates_items": (release.candidates_items, users),
        "neighbours_items": (release.neighbours_items, items),
        "related_items": (None if score.related is None else score.related.items_IN, items),
        "like_items": (score.like_items, items),
    }
    lengths |= {
        name: (len(rows), expected) for name, (rows, expected) in optional.items() if rows is not None
    }
    for name, (found, expected) in lengths.items():
        if found != expected:
            raise BrokenReleaseError(
                f"{release.folder}: {name} has {found} rows, expected {expected}; {WAY_OUT}"
            )
    size = release.item_embeddings.shape[1]
    if score.recipe.size != size:
        raise BrokenReleaseError(
            f"{release.folder}: scoring.json names {score.recipe.size} dimensions, the embeddings have {size};"
            f" {WAY_OUT}"
        )


def _map(folder: Path, name: str) -> npt.NDArray[Any]:
    path = folder / f"{name}.npy"
    try:
        return map_array(path)
    except (OSError, ValueError) as error:
        raise BrokenReleaseError(f"{path}: cannot be mapped ({error}); {WAY_OUT}") from error


def _map_if_there(folder: Path, name: str) -> npt.NDArray[Any] | None:
    return _map(folder, name) if (folder / f"{name}.npy").is_file() else None
