"""The lists of some users, with the columns that files and databases get."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from recsys_assets import columns
from recsys_assets.exports.chosen_users import as_arrow
from recsys_assets.release.load import Release
from recsys_assets.storage.arrays import Float32, Int32, UInt64

SCHEMA: Final = pa.schema(
    {
        columns.USER_ID: pa.large_string(),
        columns.RANK: pa.int32(),
        columns.ITEM_ID: pa.large_string(),
        columns.TITLE: pa.large_string(),
        columns.SCORE: pa.float32(),
        columns.REASON: pa.large_string(),
        columns.RELEASE: pa.large_string(),
        columns.RULES: pa.large_string(),
        columns.SCENARIO: pa.large_string(),
        columns.EXPORTED_AT: pa.timestamp("us", tz="UTC"),
        columns.DELETED: pa.bool_(),
    }
)
"""One row an item of a list, ranks from 1; a user that is gone has one row of rank 0 with `deleted`."""
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no bit is lost; 2^64 divided by the golden ratio."""


@dataclass(frozen=True, kw_only=True)
class ListSource:
    """The maker of lists, as each row names it."""

    release: str
    """The release's id."""
    rules: str
    """Fingerprint of the rules in force."""
    scenario: str | None
    """The scenario; None for the plain lists, without rules."""
    exported_at: datetime
    """When the export started, UTC."""


@dataclass(frozen=True, kw_only=True)
class ListBatch:
    """Lists of N users, up to k items each."""

    user_ids: pa.Array
    """N ids."""
    user_nums: Int32
    """(N,): their numbers; -1 for a user that the release does not hold."""
    items_Nk: Int32
    """(N, k): item numbers, best first; -1 where a list is shorter."""
    scores_Nk: Float32
    """(N, k): their scores."""
    reasons: Sequence[str | None] | None = None
    """Why a lesser context answered, one a user; None where nobody has one."""

    def __len__(self) -> int:
        return len(self.items_Nk)

    @property
    def rows(self) -> int:
        """The items of all lists."""
        return int((self.items_Nk >= 0).sum())

    @property
    def empty(self) -> int:
        """Users without any item."""
        return int((self.items_Nk[:, 0] < 0).sum())

    def only(self, users: Sequence[int] | Any) -> "ListBatch":
        """Return the lists of the users at these places."""
        reasons = None if self.reasons is None else [self.reasons[place] for place in users]
        return replace(
            self,
            user_ids=self.user_ids.take(users),
            user_nums=self.user_nums[users],
            items_Nk=self.items_Nk[users],
            scores_Nk=self.scores_Nk[users],
            reasons=reasons,
        )


class ListRows:
    """Batches as rows, for one release."""

    def __init__(self, release: Release, source: ListSource) -> None:
        self.source = source
        self._ids = as_arrow(release.items)
        self._titles = as_arrow(release.titles)
        self._json: dict[int, str] = {}

    def of(self, batch: ListBatch) -> pa.RecordBatch:
        """Return a row an item in SCHEMA, list after list."""
        users, places = np.nonzero(batch.items_Nk >= 0)
        nums = batch.items_Nk[users, places]
        titles = self._titles.take(nums)
        empty = pa.compute.equal(titles, "")
        reasons = pa.nulls(len(nums), pa.large_string())
        if batch.reasons is not None:
            reasons = pa.array(batch.reasons, pa.large_string()).take(users)
        return self._with_source(
            batch.user_ids.take(users),
            pa.array(places + 1, pa.int32()),
            self._ids.take(nums),
            pa.compute.if_else(empty, pa.scalar(None, pa.large_string()), titles),
            pa.array(batch.scores_Nk[users, places]),
            reasons,
            deleted=False,
        )

    def gone(self, user_ids: Sequence[str]) -> pa.RecordBatch:
        """Return the marks of users that have no list any more."""
        count = len(user_ids)
        text = pa.nulls(count, pa.large_string())
        ranks = pa.array(np.zeros(count, dtype=np.int32))
        ids = pa.array(user_ids, pa.large_string())
        return self._with_source(ids, ranks, text, text, pa.nulls(count, pa.float32()), text, deleted=True)

    def by_user(self, batch: ListBatch) -> Iterator[tuple[str, str]]:
        """Yield each user's id and list, as one JSON object."""
        source = msgspec.json.encode(self.source).decode()[1:]
        reasons = batch.reasons or [None] * len(batch)
        every = zip(
            batch.user_ids.to_pylist(),
            batch.items_Nk.tolist(),
            batch.scores_Nk.tolist(),
            reasons,
            strict=True,
        )
        for user_id, nums, scores, reason in every:
            items = ",".join(
                f'{self._json_of(num)},"score":{score:.6g}}}'
                for num, score in zip(nums, scores, strict=True)
                if num >= 0
            )
            yield user_id, f'{{"user_id":{_json(user_id)},"reason":{_json(reason)},"items":[{items}],{source}'

    def _json_of(self, num: int) -> str:
        """Return an item's object without its closing brace."""
        found = self._json.get(num)
        if found is None:
            title = self._titles[num].as_py() or None
            found = f'{{"item_id":{_json(self._ids[num].as_py())},"title":{_json(title)}'
            self._json[num] = found
        return found

    def _with_source(self, *first: pa.Array, deleted: bool) -> pa.RecordBatch:
        source, count = self.source, len(first[0])
        same = (source.release, source.rules, source.scenario, source.exported_at, deleted)
        types = [SCHEMA.field(len(first) + n).type for n in range(len(same))]
        last = [pa.repeat(pa.scalar(value, dtype), count) for value, dtype in zip(same, types, strict=True)]
        return pa.RecordBatch.from_arrays([*first, *last], schema=SCHEMA)


class ListHashes:
    """A number for each list that shows whether it changed: its items, their titles, their order and its reason.

    Scores are left out, since a new training changes them all.
    """

    def __init__(self, release: Release, *, scenario: str | None) -> None:
        self._release = release
        self._seed = _digest(f"scenario {scenario}")

    def of(self, batch: ListBatch) -> UInt64:
        """Return (N,) numbers."""
        found = np.full(len(batch), self._seed, dtype=np.uint64)
        for place in range(batch.items_Nk.shape[1]):
            nums = batch.items_Nk[:, place]
            found = found * _MULTIPLIER + np.where(nums < 0, np.uint64(0), self._items[nums])
        if batch.reasons is not None:
            found ^= np.array(
                [0 if text is None else _digest(text) for text in batch.reasons], dtype=np.uint64
            )
        return found

    @cached_property
    def _items(self) -> UInt64:
        names: Iterator[tuple[str, str]] = zip(self._release.items, self._release.titles, strict=True)
        count = len(self._release.items)
        return np.fromiter((_digest(f"{item}\0{title}") for item, title in names), np.uint64, count)


def _json(value: str | None) -> str:
    return msgspec.json.encode(value).decode()


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
