"""`recsys bench ingest`: two million Amazon reviews, JSONL.gz, to daily Parquet, against DuckDB.

Both convert the same file to the same columns, types and days, one Parquet file a day (zstd), each in a
process of its own, in turn. What is timed is the conversion, not the start of the process. DuckDB gets what
was fastest for it here: the columns and types that it shall read, no insertion order to keep, and as many
open partition files as there are days, so that it writes one file a day in one go; sorting by day first,
loading a table first, or one thread were slower. The last outputs are compared, event by event.
"""

import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from isal import igzip

from recsys_assets.benchmarks.peers import peak_rss_mb

if TYPE_CHECKING:
    import polars as pl

REAL_FILE: Final = "amazon_2023_Subscription_Boxes.jsonl.gz"

_GENERATED_REVIEWS: Final = 16_000
_IDS: Final = re.compile(rb'("(?:user_id|parent_asin)": "[^"]+)')


def run(*, rows: int = 2_000_000, rounds: int = 3) -> dict[str, Any]:
    """Convert the file `rounds` times with each, alternating.

    Args:
        rows: reviews in the file; the real one is repeated with other ids until it has as many.
        rounds: runs of each, of which the medians are reported.

    Returns:
        `seconds` and `duckdb_seconds`, `ratio_to_duckdb` (the first over the second), `peak_rss_mb` and
        `duckdb_peak_rss_mb`, `cpu_seconds` likewise; `rows`, `days`, `same_events` (whether both wrote them),
        `input` (`real` or `generated`), `input_mb` (compressed), and every run.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        reviews = Path(folder, "reviews.jsonl.gz")
        kind = write_reviews(reviews, rows=rows)
        outputs = {name: Path(folder, name) for name in CONTENDERS}
        runs = [
            {name: _measured(name, reviews, path) for name, path in outputs.items()} for _ in range(rounds)
        ]
        same = _same_events(*outputs.values())
        size = reviews.stat().st_size / 1e6
    middle = {
        name: {key: median(one[name][key] for one in runs) for key in runs[0][name]} for name in CONTENDERS
    }
    ours, duckdb = middle["ours"], middle["duckdb"]
    return {
        "seconds": ours["seconds"],
        "duckdb_seconds": duckdb["seconds"],
        "ratio_to_duckdb": ours["seconds"] / duckdb["seconds"],
        "peak_rss_mb": ours["peak_rss_mb"],
        "duckdb_peak_rss_mb": duckdb["peak_rss_mb"],
        "cpu_seconds": ours["cpu_seconds"],
        "duckdb_cpu_seconds": duckdb["cpu_seconds"],
        "rows": int(ours["rows"]),
        "days": int(ours["days"]),
        "same_events": same,
        "input": kind,
        "input_mb": size,
        "runs": runs,
    }


def write_reviews(path: Path, *, rows: int) -> str:
    """Write so many reviews of the 2023 release's form, gzip, and say whether they are `real` or `generated`.

    The real file comes from the folder in `RECSYS_TEST_DATA`; each repetition has other users and items.
    """
    folder = os.environ.get("RECSYS_TEST_DATA")
    real = Path(folder, REAL_FILE) if folder else None
    found = real is not None and real.is_file()
    text = gzip.decompress(real.read_bytes()) if real is not None and found else _generated()
    lines = text.splitlines(keepends=True)
    with igzip.open(path, "wb") as file:
        for repetition in range(-(-rows // len(lines))):
            part = b"".join(lines[: rows - repetition * len(lines)])
            file.write(_IDS.sub(rb"\g<1>-%d" % repetition, part))
    return "real" if found else "generated"


def land(reviews: Path, output: Path) -> Callable[[], None]:
    """Our conversion: every day that has events."""
    from recsys_assets.lake.landing import iter_days  # noqa: PLC0415  only the process that runs it
    from recsys_assets.lake.sources.amazon import Amazon  # noqa: PLC0415
    from recsys_assets.storage.partition_store import PartitionStore  # noqa: PLC0415

    def convert() -> None:
        source = Amazon(reviews)
        store = PartitionStore(root=output, schema=source.contract.polars_schema())
        days = iter_days(source, None, scratch=output.with_name("scratch"))
        store.write_all((day, frame) for day, frame in days if frame.height)

    return convert


def copy_by_duckdb(reviews: Path, output: Path) -> Callable[[], None]:
    """DuckDB's conversion: the same columns, types and days in one statement."""
    import duckdb  # noqa: PLC0415  a development dependency, and only the process that runs it

    statement = f"""
        COPY (
            SELECT
                user_id, parent_asin AS item_id, make_timestamptz(timestamp * 1000) AS timestamp,
                rating::FLOAT AS rating, NULL::FLOAT AS quantity, NULL::DOUBLE AS value,
                verified_purchase AS verified, helpful_vote AS helpful_votes, asin AS variant_id,
                make_timestamp(timestamp * 1000)::DATE AS date
            FROM read_json(
                '{reviews}', format = 'newline_delimited', compression = 'gzip',
                columns = {{
                    user_id: 'VARCHAR', parent_asin: 'VARCHAR', asin: 'VARCHAR', timestamp: 'BIGINT',
                    rating: 'DOUBLE', verified_purchase: 'BOOLEAN', helpful_vote: 'INTEGER'
                }}
            )
        ) TO '{output}' (FORMAT parquet, PARTITION_BY (date), COMPRESSION zstd)
        """  # noqa: S608  both paths are the benchmark's own

    def convert() -> None:
        connection = duckdb.connect()
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET partitioned_write_max_open_files = 10000")
        connection.execute(statement)

    return convert


CONTENDERS: Final = {"ours": land, "duckdb": copy_by_duckdb}


def _measured(name: str, reviews: Path, output: Path) -> dict[str, float]:
    """One conversion in a process of its own."""
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", __name__, name, str(reviews), str(output)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  our own module
    days = sorted(output.glob("date=*"))
    rows = sum(_events(day).height for day in days)
    return {**json.loads(done.stdout), "rows": rows, "days": len(days)}


def _same_events(one: Path, other: Path) -> bool:
    """Whether two folders of daily files hold the same events on the same days."""
    days = [day.name for day in sorted(one.glob("date=*"))]
    if days != [day.name for day in sorted(other.glob("date=*"))]:
        return False
    return all(_in_order(one / day).equals(_in_order(other / day)) for day in days)


def _in_order(day: Path) -> "pl.DataFrame":
    events = _events(day)
    return events.sort(events.columns)


def _events(day: Path) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415  DuckDB's process shall not carry it

    return pl.read_parquet(day / "*.parquet", hive_partitioning=False)


def _generated() -> bytes:
    """Reviews of the real file's form and length, for where that isn't at hand."""
    draw = random.Random(0)  # noqa: S311  not for secrets
    lines = []
    for _ in range(_GENERATED_REVIEWS):
        item = f"B0{draw.randrange(700):08}"
        review = {
            "rating": float(draw.randint(1, 5)),
            "title": "Some title",
            "text": " ".join(f"word{draw.randrange(5000)}" for _ in range(draw.randrange(60))),
            "images": [],
            "asin": item,
            "parent_asin": item,
            "user_id": f"A{draw.randrange(10**27):027}",
            "timestamp": draw.randrange(1_485_000_000_000, 1_693_000_000_000),
            "helpful_vote": draw.randrange(5),
            "verified_purchase": draw.random() < 0.9,  # noqa: PLR2004  a share
        }
        lines.append(json.dumps(review) + "\n")
    return "".join(lines).encode()


def _main(name: str, reviews: str, output: str) -> None:
    convert = CONTENDERS[name](Path(reviews), Path(output))
    start, cpu = time.perf_counter(), time.process_time()
    convert()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_rss_mb": peak_rss_mb()}))  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
