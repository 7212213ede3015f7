"""The lists of the last export to each target, a number a list, so that the next one can write only the changes."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from recsys_assets import columns
from recsys_assets.errors import ExportError
from recsys_assets.exports.export_target import ExportManifest
from recsys_assets.storage.arrays import Bools, UInt64
from recsys_assets.storage.atomic import named, put_in_place, staging_path
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

_HASH: Final = "list_hash"
_SCHEMA: Final = pa.schema({columns.USER_ID: pa.large_string(), _HASH: pa.uint64()})
_KEYS: Final = ("export_id", "base", "sequence", "target")
_RELEASES: Final = "releases"
_STATE: Final = "lists.parquet"


class KnownExport(NamedTuple):
    """The last export to one target."""

    target: str
    """The target, without a password."""
    export_id: str
    """Of that export."""
    releases: tuple[str, ...]
    """Ids of the releases whose lists it holds; empty where an earlier version wrote it."""
    paths: tuple[str, ...]
    """Files that hold them; empty where the target is a server."""


def exports_of(home: Home) -> list[KnownExport]:
    """Return the last export to each target of a home, by target."""
    found = []
    for file in sorted(home.exports.glob(f"*/{_STATE}")):
        try:
            notes = {k.decode(): v.decode() for k, v in (pq.read_metadata(file).metadata or {}).items()}
            target, export_id = notes["target"], notes["export_id"]
        except (OSError, pa.ArrowException, KeyError):
            continue
        paths = () if "://" in target else (target,)
        found.append(KnownExport(target, export_id, _releases(notes), paths))
    return sorted(found)


def _releases(notes: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(filter(None, notes.get(_RELEASES, "").split(",")))


class LastExport:
    """The state that an export left."""

    def __init__(self, lists: pl.DataFrame, notes: dict[str, str]) -> None:
        self._lists = lists
        self.export_id = notes["export_id"]
        """Of that export."""
        self.base = notes["base"]
        """Of the last whole one."""
        self.sequence = int(notes["sequence"])
        """Number of the last delta."""
        self.releases = _releases(notes)
        """Ids of the releases whose lists the target holds; empty where an earlier version wrote it."""

    def is_in(self, found: ExportManifest | None, *, deltas_apart: bool) -> bool:
        """Return True where a target still holds the lists that this state describes.

        Args:
            found: the last export that the target holds.
            deltas_apart: the target keeps deltas apart, so that this is the last whole one.
        """
        return found is not None and found.export_id == (self.base if deltas_apart else self.export_id)

    def against(self, ids: pl.Series) -> "Changes":
        """Compare with the users of another export, in the order in which their lists come."""
        now = ids.to_frame(columns.USER_ID)
        before = now.join(self._lists, on=columns.USER_ID, how="left", maintain_order="left")[_HASH]
        gone = self._lists.join(now, on=columns.USER_ID, how="anti")[columns.USER_ID].to_list()
        return Changes(before.fill_null(0).to_numpy(), before.is_null().to_numpy(), gone)


class Changes:
    """The difference between two exports, found batch after batch."""

    def __init__(self, before: UInt64, new: Bools, gone: list[str]) -> None:
        self._before, self._new, self._compared = before, new, 0
        self.gone = gone
        """Users of the earlier export that are not in the later one."""

    def changed(self, hashes_N: UInt64) -> Bools:
        """Return (N,): True for each of the next N users whose list is another or new."""
        these = slice(self._compared, self._compared + len(hashes_N))
        self._compared = these.stop
        changed: Bools = self._new[these] | (self._before[these] != hashes_N)
        return changed


class StateWriter:
    """Takes the state of an export while it is made."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self.complete = False
        """True once the target holds the export; else the state before stays."""

    def add(self, ids: pa.Array, hashes_N: UInt64) -> None:
        """Add N users."""
        self._writer.write_batch(pa.RecordBatch.from_arrays([ids, pa.array(hashes_N)], schema=_SCHEMA))


class ExportState:
    """The state of one target of a home."""

    def __init__(self, home: Home, target: str) -> None:
        """Name the target, without a password."""
        self._target = target
        folder = home.exports / hashlib.sha256(target.encode()).hexdigest()[:16]
        self.folder = folder
        """The folder that keeps it; without it the home knows nothing of the target."""
        self._file = folder / _STATE
        self._lock = folder / ".lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the target.

        Raises:
            ExportError: another process exports to it.
        """
        with ExitStack() as held:
            try:
                held.enter_context(locked(self._lock, wait=False))
            except BlockingIOError:
                raise ExportError(
                    f"{self._target}: another export to it is running; wait for it to end"
                ) from None
            yield

    def read(self) -> LastExport | None:
        """Return the state of the last export; None where there is none that can be read."""
        try:
            notes = {
                key.decode(): value.decode() for key, value in pq.read_metadata(self._file).metadata.items()
            }
            if not all(key in notes for key in _KEYS):
                return None
            return LastExport(pl.read_parquet(self._file), notes)
        except (OSError, pa.ArrowException, pl.exceptions.PolarsError):
            return None

    def forget(self, users: Collection[str]) -> int:
        """Take users out of the state, and return the number of those that were in it; the caller holds the target.

        Raises:
            ExportError: it cannot be read.
        """
        if not self._file.exists():
            return 0
        try:
            table = pq.read_table(self._file, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise ExportError(f"{self._file}: cannot be read ({error}); remove its folder") from None
        kept = table.filter(
            pa.compute.invert(pa.compute.is_in(table[columns.USER_ID], pa.array(list(users))))
        )
        if kept.num_rows < table.num_rows:
            staged = staging_path(self._file)
            try:
                with named(staged):
                    pq.write_table(kept, staged, compression="zstd")
                put_in_place(staged, self._file)
            finally:
                staged.unlink(missing_ok=True)
        return int(table.num_rows - kept.num_rows)

    @contextmanager
    def writing(
        self, *, export_id: str, base: str, sequence: int, releases: Iterable[str]
    ) -> Iterator[StateWriter]:
        """Yield a writer; what it took replaces the state where it is `complete` at the end.

        `releases` are those whose lists the target holds then, the changes since a whole export included.
        """
        values = (export_id, base, str(sequence), self._target)
        schema = _SCHEMA.with_metadata(
            {**dict(zip(_KEYS, values, strict=True)), _RELEASES: ",".join(releases)}
        )
        staged = staging_path(self._file)
        try:
            with named(staged), pq.ParquetWriter(staged, schema, compression="zstd") as file:
                writer = StateWriter(file)
                yield writer
            if writer.complete:
                put_in_place(staged, self._file)
        finally:
            staged.unlink(missing_ok=True)
