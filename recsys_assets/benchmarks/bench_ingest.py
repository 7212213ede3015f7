"""`recsys bench ingest`: two million Amazon reviews, JSONL.gz, to daily Parquet, against DuckDB.

`audited` is the product's own path: the calls that the asset `raw_interactions` makes to land days in a new home,
the drift audit and the check ledger included, without Dagster around them. `unaudited` only converts: the same
days, written by the same store. DuckDB converts to the same columns and types, one zstd file a day. Each runs in
a process of its own, in turn; the conversion is timed, not the start of the process.

DuckDB has the settings that were fastest for it: the columns and types to read, no insertion order to keep, and
enough open partition files for one a day in one pass. Sorting by day first, loading a table first, or one thread
were slower. At the end the events of the unaudited conversion and of DuckDB are compared.
"""

import gzip
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from isal import igzip

from recsys_assets.benchmarks.harness import peak_rss_mb, print_result, run_apart

if TYPE_CHECKING:
    import polars as pl

REAL_FILE: Final = "amazon_2023_Subscription_Boxes.jsonl.gz"

_GENERATED_REVIEWS: Final = 16_000
_IDS: Final = re.compile(rb'("(?:user_id|parent_asin)": "[^"]+)')
_TIMES: Final = re.compile(rb'(?<="timestamp": )\d+')
_DAY_MS: Final = 86_400_000


def run(*, rows: int = 2_000_000, rounds: int = 3) -> dict[str, Any]:
    """Convert Amazon reviews to daily files: audited as `recsys land` does it, unaudited, and by DuckDB.

    Args:
        rows: reviews in the file; the real file is repeated with other ids up to this number.
        rounds: runs of each, alternating; medians are reported.

    Returns:
        `audited`, `unaudited` and `duckdb`, each with `seconds`, `cpu_seconds`, `peak_rss_mb`, `rows` and
        `days` (that have events); `audited_to_duckdb` and `unaudited_to_duckdb`, ratios of the seconds;
        `rejected_days` of the audit; `same_events`, true if `unaudited` and `duckdb` wrote the same ones;
        `input` (`real` or `generated`), `input_mb` (compressed), and every run.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        reviews = Path(folder, "reviews.jsonl.gz")
        kind = write_reviews(reviews, rows=rows)
        outputs = {name: Path(folder, name) for name in CONTENDERS}
        runs = [
            {name: _measured(name, reviews, path) for name, path in outputs.items()} for _ in range(rounds)
        ]
        same = _same_events(outputs["unaudited"], outputs["duckdb"])
        size = reviews.stat().st_size / 1e6
    middle: dict[str, dict[str, Any]] = {
        name: {key: median(one[name][key] for one in runs) for key in runs[0][name]} for name in CONTENDERS
    }
    rejected = int(middle["audited"].pop("rejected_days"))
    seconds = {name: figures["seconds"] for name, figures in middle.items()}
    return {
        **middle,
        "audited_to_duckdb": seconds["audited"] / seconds["duckdb"],
        "unaudited_to_duckdb": seconds["unaudited"] / seconds["duckdb"],
        "rejected_days": rejected,
        "same_events": same,
        "input": kind,
        "input_mb": size,
        "runs": runs,
    }


def write_reviews(path: Path, *, rows: int) -> str:
    """Write reviews of the 2023 release's form, gzip, and return `real` or `generated`.

    The real file comes from the folder in `RECSYS_TEST_DATA`. Each repetition has other users and items and is moved by
    up to a year: otherwise a day's events would be one multiple of few, and the audit would rightly reject many days.
    """
    folder = os.environ.get("RECSYS_TEST_DATA")
    real = Path(folder, REAL_FILE) if folder else None
    found = real is not None and real.is_file()
    text = gzip.decompress(real.read_bytes()) if real is not None and found else _generated()
    lines = text.splitlines(keepends=True)
    with igzip.open(path, "wb") as file:
        for repetition in range(-(-rows // len(lines))):
            part = b"".join(lines[: rows - repetition * len(lines)])
            days = random.Random(repetition).randrange(365)  # noqa: S311  not for secrets
            file.write(_moved(_IDS.sub(rb"\g<1>-%d" % repetition, part), days=days))
    return "real" if found else "generated"


def _moved(reviews: bytes, *, days: int) -> bytes:
    return _TIMES.sub(lambda found: b"%d" % (int(found[0]) + days * _DAY_MS), reviews)


def land_audited(reviews: Path, output: Path) -> Callable[[], dict[str, float]]:
    """Return the product's path: audit every day, publish it, and keep every check result.

    It lands all days from the first event's to the last one's, the empty ones too.
    """
    from recsys_assets.drift.monitor import Monitor  # noqa: PLC0415  only in the process that runs it
    from recsys_assets.lake.contract import RAW_INTERACTIONS  # noqa: PLC0415
    from recsys_assets.lake.landing import iter_days  # noqa: PLC0415
    from recsys_assets.lake.raw_audit import RawAudit  # noqa: PLC0415
    from recsys_assets.lake.sources.amazon import Amazon  # noqa: PLC0415
    from recsys_assets.quality.audit_and_publish import prepared, publish_days  # noqa: PLC0415
    from recsys_assets.quality.ledger import Ledger  # noqa: PLC0415
    from recsys_assets.settings import QualitySettings  # noqa: PLC0415
    from recsys_assets.storage.home import Home  # noqa: PLC0415
    from recsys_assets.storage.partition_store import PartitionStore  # noqa: PLC0415

    def convert() -> dict[str, float]:
        home, source = Home(output), Amazon(reviews)
        store = PartitionStore(root=home.raw, schema=RAW_INTERACTIONS.polars_schema())
        with Ledger(home.quality_db) as ledger:
            monitor = Monitor(RAW_INTERACTIONS.name, QualitySettings(), store=store, ledger=ledger)
            audit = RawAudit(source.contract, monitor=monitor)
            outcome = publish_days(
                prepared(iter_days(source, None, scratch=home.scratch), audit),
                store=store,
                audit=audit,
                quarantine=home.quarantine,
                ledger=ledger,
            )
        return {"rejected_days": len(outcome.rejected)}

    return convert


def land_unaudited(reviews: Path, output: Path) -> Callable[[], dict[str, float]]:
    """Return our conversion alone: every day that has events, written by the product's store."""
    from recsys_assets.lake.landing import iter_days  # noqa: PLC0415  only in the process that runs it
    from recsys_assets.lake.sources.amazon import Amazon  # noqa: PLC0415
    from recsys_assets.storage.partition_store import PartitionStore  # noqa: PLC0415

    def convert() -> dict[str, float]:
        source = Amazon(reviews)
        store = PartitionStore(root=output, schema=source.contract.polars_schema())
        for day, frame in iter_days(source, None, scratch=output.with_name("scratch")):
            if frame.height:
                store.write(day, frame)
        return {}

    return convert


def copy_by_duckdb(reviews: Path, output: Path) -> Callable[[], dict[str, float]]:
    """Return DuckDB's conversion: the same columns, types and days in one statement."""
    import duckdb  # noqa: PLC0415  only in the process that runs it

    statement = f"""
        COPY (
            SELECT
                user_id, parent_asin AS item_id, make_timestamptz(timestamp * 1000) AS timestamp,
                rating::FLOAT AS rating, NULL::FLOAT AS quantity, NULL::DOUBLE AS value, NULL::VARCHAR AS kind,
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

    def convert() -> dict[str, float]:
        connection = duckdb.connect()
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET partitioned_write_max_open_files = 10000")
        connection.execute(statement)
        return {}

    return convert


CONTENDERS: Final = {"audited": land_audited, "unaudited": land_unaudited, "duckdb": copy_by_duckdb}
"""Name -> a function of input and output that returns the conversion to time."""


def _measured(name: str, reviews: Path, output: Path) -> dict[str, float]:
    """Time one conversion in a process of its own, and count its events."""
    shutil.rmtree(output, ignore_errors=True)
    figures = run_apart(__name__, name, str(reviews), str(output))
    rows = [_events(day).height for day in _day_folders(output)]
    return {**figures, "rows": sum(rows), "days": sum(map(bool, rows))}


def _day_folders(output: Path) -> list[Path]:
    """A conversion's daily folders, oldest first; a home keeps them deeper."""
    raw = output / "lake" / "raw"
    return sorted((raw if raw.is_dir() else output).glob("date=*"))


def _same_events(one: Path, other: Path) -> bool:
    days = [day.name for day in _day_folders(one)]
    if days != [day.name for day in _day_folders(other)]:
        return False
    return all(_in_order(one / day).equals(_in_order(other / day)) for day in days)


def _in_order(day: Path) -> "pl.DataFrame":
    events = _events(day)
    return events.sort(events.columns)


def _events(day: Path) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415  not in DuckDB's process

    return pl.read_parquet(day / "*.parquet", hive_partitioning=False)


def _generated() -> bytes:
    """Reviews of the real file's form and length, for a machine without it."""
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
    found = convert()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    print_result({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_rss_mb": peak_rss_mb(), **found})


if __name__ == "__main__":
    _main(*sys.argv[1:])
