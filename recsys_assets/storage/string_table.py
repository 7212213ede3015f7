"""Strings as memory-mapped arrays: `StringTable` by position, `Vocabulary` also from an id to its number.

The API process imports this, so numpy only. Nothing is pickled: `.npy` files, two or three.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from recsys_assets.storage.arrays import Int32, Int64, UInt8, map_array


class StringTable:
    """Strings by position: UTF-8 bytes one after another, and where each one starts."""

    def __init__(self, offsets: Int64, data: UInt8) -> None:
        """`offsets`: int64, n + 1, ascending; `data`: uint8, all strings' bytes."""
        self.offsets = offsets
        self.data = data
        # A memoryview gives plain ints and bytes ten times faster than indexing a memory-mapped array.
        self._starts: Sequence[int] = memoryview(cast("Any", offsets))
        self._bytes = memoryview(cast("Any", data))

    @classmethod
    def from_strings(cls, strings: Iterable[str | None]) -> Self:
        """A table in the order given; None becomes the empty string."""
        encoded = [(text or "").encode() for text in strings]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), dtype=np.uint8))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, num: int) -> str:
        if not 0 <= num < len(self):
            raise IndexError(f"string {num} of a table of {len(self)}")
        return self._raw(num).decode()

    def __iter__(self) -> Iterator[str]:
        return (self._raw(num).decode() for num in range(len(self)))

    def save(self, folder: Path, name: str) -> None:
        """Write `<name>.offsets.npy` and `<name>.bytes.npy`."""
        np.save(folder / f"{name}.offsets.npy", self.offsets, allow_pickle=False)
        np.save(folder / f"{name}.bytes.npy", self.data, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Memory-map what `save` wrote."""
        return cls(map_array(folder / f"{name}.offsets.npy"), map_array(folder / f"{name}.bytes.npy"))

    def _raw(self, num: int) -> bytes:
        return bytes(self._bytes[self._starts[num] : self._starts[num + 1]])


class Vocabulary(StringTable):
    """Ids sorted by their UTF-8 bytes; an id's number is its position.

    A lookup hashes the id (CRC-32) to a bucket and compares the few ids in it, about 1 µs whatever the size.
    `buckets` is one int32 array: 2**b + 1 bucket starts, then the numbers, bucket by bucket.
    """

    def __init__(self, offsets: Int64, data: UInt8, buckets: Int32) -> None:
        """`buckets` as `_fill_buckets` makes them."""
        super().__init__(offsets, data)
        self.buckets = buckets
        self._table: Sequence[int] = memoryview(cast("Any", buckets))
        starts = 1 << _bucket_bits(len(offsets) - 1)
        self._mask = starts - 1
        self._nums_at = starts + 1

    @classmethod
    def from_strings(cls, strings: Iterable[str | None]) -> Self:
        """Sorts and deduplicates; None is left out."""
        encoded = sorted({text.encode() for text in strings if text is not None})
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), dtype=np.uint8), _fill_buckets(encoded))

    def num(self, key: str) -> int | None:
        """The id's number, or None where the vocabulary doesn't hold it."""
        wanted = key.encode()
        bucket = zlib.crc32(wanted) & self._mask
        for place in range(self._nums_at + self._table[bucket], self._nums_at + self._table[bucket + 1]):
            num = self._table[place]
            if self._bytes[self._starts[num] : self._starts[num + 1]] == wanted:
                return num
        return None

    def nums(self, ids: Sequence[str]) -> Int32:
        """int32, one an id; -1 where the vocabulary doesn't hold it."""
        found = (self.num(key) for key in ids)
        return np.fromiter((-1 if num is None else num for num in found), dtype=np.int32, count=len(ids))

    def id(self, num: int) -> str:
        """The id at `num`.

        Raises:
            IndexError: `num` is negative or not below `len`.
        """
        return self[num]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.num(key) is not None

    def save(self, folder: Path, name: str) -> None:
        """Write `<name>.offsets.npy`, `<name>.bytes.npy` and `<name>.hash.npy`."""
        super().save(folder, name)
        np.save(folder / f"{name}.hash.npy", self.buckets, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Memory-map what `save` wrote; a million ids in milliseconds."""
        offsets, data = map_array(folder / f"{name}.offsets.npy"), map_array(folder / f"{name}.bytes.npy")
        return cls(offsets, data, map_array(folder / f"{name}.hash.npy"))


def _bucket_bits(count: int) -> int:
    return max(1, count.bit_length())


def _fill_buckets(encoded: Sequence[bytes]) -> Int32:
    count = len(encoded)
    slots = 1 << _bucket_bits(count)
    hashes = np.fromiter(map(zlib.crc32, encoded), dtype=np.uint32, count=count) & np.uint32(slots - 1)
    buckets = np.zeros(slots + 1 + count, dtype=np.int32)
    buckets[1 : slots + 1] = np.cumsum(np.bincount(hashes, minlength=slots))
    buckets[slots + 1 :] = np.argsort(hashes, kind="stable")
    return buckets
