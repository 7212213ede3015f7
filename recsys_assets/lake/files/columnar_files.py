"""Parquet and Arrow files as chunks, with fields within fields as columns, in bounded memory."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files import nested_fields
from recsys_assets.lake.files.compressed_files import open_bytes
from recsys_assets.lake.files.text_blocks import read_ahead
from recsys_assets.lake.files.text_records import Chunk

PARQUET: Final = b"PAR1"
ARROW: Final = b"ARROW1"
_BATCH_ROWS: Final = 100_000
_SAMPLE_ROWS: Final = 1_000


@dataclass(kw_only=True)
class ColumnarChunk(Chunk):
    """Rows of one batch."""

    first: int
    """Rows of the file before it."""
    records: pl.Series | None
    """Number of each row's record in the batch; None where each record is a row."""

    def place(self, row: int) -> str:
        """Return `row 12`."""
        number = row if self.records is None else int(self.records[row])
        return f"row {self.first + number + 1}"


class ColumnarFile:
    """A Parquet or Arrow file."""

    def __init__(self, path: Path, kind: bytes) -> None:
        """Name the file.

        Args:
            path: the file, also a member of an archive.
            kind: `PARQUET` or `ARROW`.
        """
        self.path = path
        self._kind = kind

    def column_names(self) -> Sequence[str]:
        """Return the names of its fields, and of those within them.

        Raises:
            SourceFormatError: the file is damaged.
        """
        schema = pl.Schema(self._schema())  # a table of pyarrow would import pandas
        names = nested_fields.names_of_schema(schema)
        keyed = [column for column in schema if _is_keyed(schema[column])]
        if keyed:
            sample = next(self._batches(keyed), pl.DataFrame()).head(_SAMPLE_ROWS).to_dicts()
            names += [name for name in nested_fields.names_in(sample) if "[key=" in name]
        return names

    def chunks(self, columns: Sequence[str]) -> Iterator[ColumnarChunk]:
        """Yield the rows with these columns.

        Raises:
            SourceFormatError: the file is damaged.
        """
        literal = self._schema().names
        paths = {name: nested_fields.parse_path(name, literal) for name in columns}
        nested = any(len(path) > 1 for path in paths.values())
        wanted = list(dict.fromkeys(path[0].name for path in paths.values()))
        first = 0
        for batch in read_ahead(self._batches(wanted)):
            rows, records = nested_fields.flat(batch, paths) if nested else (batch.select(columns), None)
            if rows.height:
                yield ColumnarChunk(frame=_plain(rows), path=self.path, first=first, records=records)
            first += batch.height

    def _schema(self) -> Any:
        try:
            with self._open() as file:
                return file.schema_arrow if self._kind == PARQUET else file.schema
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from None

    def _batches(self, columns: Sequence[str]) -> Generator[pl.DataFrame]:
        try:
            with self._open() as file:
                if self._kind == PARQUET:
                    batches = file.iter_batches(_BATCH_ROWS, columns=list(columns))
                else:
                    batches = (file.get_batch(n).select(columns) for n in range(file.num_record_batches))
                for batch in batches:
                    yield pl.DataFrame(batch)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from None

    def _open(self) -> Any:
        source: Path | IO[bytes] = self.path if self.path.is_file() else open_bytes(self.path)
        if self._kind == PARQUET:
            return pq.ParquetFile(source)
        return pa.ipc.open_file(str(source) if isinstance(source, Path) else source)

    def _broken(self, error: Exception) -> SourceFormatError:
        kind = "Parquet" if self._kind == PARQUET else "Arrow"
        reason = str(error).splitlines()[0]
        return SourceFormatError(
            f"{self.path}: the {kind} file is truncated or damaged ({reason}); write it again"
        )


def _is_keyed(dtype: Any) -> bool:
    inner = dtype.inner if isinstance(dtype, pl.List) else None
    return isinstance(inner, pl.Struct) and {"key", "value"} <= {field.name for field in inner.fields}


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return dictionaries and bytes as text, and decimals as whole numbers or floats."""
    plain = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Categorical | pl.Enum) or dtype == pl.Binary:
            plain.append(pl.col(name).cast(pl.String, strict=False))
        elif isinstance(dtype, pl.Decimal):
            plain.append(pl.col(name).cast(pl.String) if not dtype.scale else pl.col(name).cast(pl.Float64))
    return frame.with_columns(plain) if plain else frame
