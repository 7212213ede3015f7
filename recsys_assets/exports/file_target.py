"""Lists in a file, Parquet, CSV or JSON lines: staged, synced, renamed, with a manifest beside it.

A delta is a file of its own, `lists.delta-000001.parquet` beside `lists.parquet`: the lists that changed whole, and a
row with `deleted` for each user without a list.
"""

import glob
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, Final

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from isal import igzip

from recsys_assets import columns
from recsys_assets.errors import ExportError
from recsys_assets.exports.export_target import FORMS, ExportManifest, ExportRun, ExportTarget, as_rows
from recsys_assets.exports.list_batch import SCHEMA, ListBatch, ListRows
from recsys_assets.release.manifest import sha256
from recsys_assets.storage.atomic import replaced_file, staging_path
from recsys_assets.storage.private_files import make_users_folder, open_as_user

ENDINGS: Final = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
_TIME: Final = "%Y-%m-%dT%H:%M:%S%.fZ"

_TYPES: Final = {
    name: dtype
    for name, dtype in pl.Schema(pl.from_arrow(SCHEMA.empty_table()).schema).items()  # type: ignore[union-attr]
    if name not in {columns.EXPORTED_AT, columns.DELETED}
}
"""Types of the columns that every file of texts has; times are texts there."""
Write = Callable[[pa.RecordBatch], None]


class FileTarget(ExportTarget):
    """One file, in the format of its ending."""

    deltas_apart: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        """Take the file.

        Raises:
            ExportError: no format has its ending.
        """
        self.path = path.expanduser().absolute()
        self.shown = str(self.path)
        ending = next(
            (one for one in sorted(ENDINGS, key=len, reverse=True) if path.name.endswith(one)), None
        )
        if ending is None:
            raise ExportError(f"--to {path}: no format has this ending; give {FORMS}")
        self._ending = ending

    def check(self) -> None:
        """Check that the folder is there or can be made, and can be written."""
        folder = self.path.parent
        try:
            make_users_folder(folder)
        except OSError as error:
            raise ExportError(f"{folder}: cannot be made ({error.strerror}); give another --to") from None
        if self.path.is_dir() or not os.access(folder, os.W_OK):
            why = "is a folder" if self.path.is_dir() else "its folder cannot be written"
            raise ExportError(f"{self.path}: {why}; give another --to")

    def last_export(self) -> ExportManifest | None:
        """Return the manifest beside the file."""
        try:
            content = _manifest_of(self.path).read_bytes()
            return msgspec.json.decode(content, type=ExportManifest) if self.path.is_file() else None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def replace(self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows) -> ExportManifest:
        """Replace the file, then its manifest."""
        return self._write(self.path, run, as_rows(batches, rows), without=(columns.DELETED,))

    def change(
        self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows, *, gone: Sequence[str]
    ) -> ExportManifest:
        """Write a file of the changes beside the file."""

        def changes() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                yield rows.of(batch)
                emptied = batch.user_ids.filter(pa.array(batch.items_Nk[:, 0] < 0)).to_pylist()
                yield rows.gone(emptied)
            yield rows.gone(gone)

        stem = self.path.name.removesuffix(self._ending)
        path = self.path.with_name(f"{stem}.delta-{run.sequence:06}{self._ending}")
        return self._write(path, run, (found for found in changes() if found.num_rows))

    def forget(self, users: Sequence[str]) -> int:
        """Write the file and its deltas again without the users' rows, and the manifest of each."""
        stem = self.path.name.removesuffix(self._ending)
        deltas = sorted(self.path.parent.glob(f"{glob.escape(stem)}.delta-*{self._ending}"))
        return sum(self._forget_in(path, users) for path in (self.path, *deltas) if path.is_file())

    def _forget_in(self, path: Path, users: Sequence[str]) -> int:
        try:
            staging_path(path).unlink(missing_ok=True)  # of an export that was killed
            before = self._read(path)
            kept = before.filter(~pl.col(columns.USER_ID).is_in(list(users)))
            if kept.height == before.height:
                return 0
            schema = pa.schema([field for field in SCHEMA if field.name in before.columns])
            with replaced_file(path) as staged:
                with self._open(staged, schema) as write:
                    for batch in kept.to_arrow().cast(schema).to_batches():
                        write(batch)
                shutil.copymode(path, staged)
            self._note_again(path)
        except (OSError, pl.exceptions.PolarsError, pa.ArrowException) as error:
            raise ExportError(f"{path}: cannot be read or written ({error})") from None
        return before.height - kept.height

    def _read(self, path: Path) -> pl.DataFrame:
        if self._ending == ".parquet":
            return pl.read_parquet(path, hive_partitioning=False, glob=False)
        types = dict(_TYPES)
        if self._ending.startswith(".csv"):
            frame = pl.read_csv(path, schema_overrides=types)
        else:
            content = path.read_bytes()
            text = igzip.decompress(content) if self._ending.endswith(".gz") else content
            frame = pl.read_ndjson(text, schema_overrides=types)
        return frame.with_columns(
            pl.col(columns.EXPORTED_AT).str.to_datetime(_TIME, time_unit="us", time_zone="UTC")
        )

    def _note_again(self, path: Path) -> None:
        """Give the manifest the checksum of the file as it is now."""
        file = _manifest_of(path)
        if not file.is_file():
            return
        manifest = msgspec.json.decode(file.read_bytes(), type=ExportManifest)
        new = msgspec.structs.replace(manifest, sha256=sha256(path))
        with replaced_file(file) as staged:
            staged.write_bytes(msgspec.json.format(msgspec.json.encode(new), indent=1) + b"\n")
            shutil.copymode(file, staged)

    def _write(
        self, path: Path, run: ExportRun, batches: Iterator[pa.RecordBatch], without: Sequence[str] = ()
    ) -> ExportManifest:
        schema = pa.schema([field for field in SCHEMA if field.name not in without])
        try:
            with replaced_file(path) as staged:
                with self._open(staged, schema) as write:
                    for batch in batches:
                        write(batch.select(schema.names))
                open_as_user(staged)
                manifest = run.manifest(sha256=sha256(staged))
            described = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
            with replaced_file(_manifest_of(path)) as staged:
                staged.write_bytes(described)
                open_as_user(staged)
        except OSError as error:
            raise ExportError(
                f"{path}: cannot be written ({error.strerror or error}); the file before is unchanged"
            ) from None
        return manifest

    @contextmanager
    def _open(self, staged: Path, schema: pa.Schema) -> Iterator[Write]:
        with ExitStack() as stack:
            if self._ending == ".parquet":
                writer = stack.enter_context(pq.ParquetWriter(staged, schema, compression="zstd"))
                yield writer.write_batch
                return
            file: IO[bytes] = stack.enter_context(staged.open("wb"))
            if self._ending.endswith(".gz"):
                file = stack.enter_context(igzip.IGzipFile(fileobj=file, mode="wb", compresslevel=2, mtime=0))
            if self._ending.startswith(".csv"):
                file.write((",".join(schema.names) + "\n").encode())
                yield lambda batch: _plain(batch).write_csv(file, include_header=False)
            else:
                yield lambda batch: _plain(batch).write_ndjson(file)


def _plain(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return rows with times as text, ISO 8601."""
    frame: Any = pl.from_arrow(batch)
    found: pl.DataFrame = frame.with_columns(pl.col(columns.EXPORTED_AT).dt.strftime(_TIME))
    return found


def _manifest_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.manifest.json")
