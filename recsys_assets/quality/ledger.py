"""The ledger `quality.sqlite`: the newest result of every check by table and day, day profiles, acceptances.

Auditing a day again replaces its results: the ledger holds the present state, not its history. A writer keeps
one `Ledger` open for a run and flushes in batches; a reader opens its own.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Self

from recsys_assets.quality.expectations import CheckResult

_SCHEMA = """
CREATE TABLE IF NOT EXISTS check_results (
    table_name TEXT NOT NULL, day TEXT NOT NULL, check_name TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('ok', 'warn', 'block')),
    passed_share REAL, failing_rows INTEGER NOT NULL, value REAL,
    warn_below REAL, block_below REAL, warn_above REAL, block_above REAL,
    detail TEXT NOT NULL, sample TEXT NOT NULL, checked_at TEXT NOT NULL,
    PRIMARY KEY (table_name, day, check_name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS check_results_verdict ON check_results (verdict, day) WHERE verdict <> 'ok';
CREATE TABLE IF NOT EXISTS profiles (
    table_name TEXT NOT NULL, day TEXT NOT NULL, profile BLOB NOT NULL,
    PRIMARY KEY (table_name, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acceptances (
    table_name TEXT NOT NULL, day TEXT NOT NULL, fingerprint TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, accepted_at TEXT NOT NULL,
    PRIMARY KEY (table_name, day, fingerprint)
) WITHOUT ROWID;
"""
_WHOLE_TABLE = ""
"""The `day` of a result about an unpartitioned table."""


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """A person's decision to publish a rejected day."""

    table: str
    """The table's name."""
    day: date
    """The partition."""
    fingerprint: str
    """Content fingerprint of the accepted rows: another delivery of the same day is not covered."""
    who: str
    """Who accepted."""
    why: str
    """Their reason, as given."""
    accepted_at: datetime
    """Time of the decision, UTC."""


class Ledger:
    """Reads and writes `quality.sqlite`; a context manager that flushes at its end."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`; create it, and its folder, where it is missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=30)
        self._connection.row_factory = sqlite3.Row
        # Write-ahead logging: the report and the page read while a build writes, and a commit needs no fsync.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Flush and close."""
        self._connection.commit()
        self._connection.close()

    def flush(self) -> None:
        """Make what was recorded visible to others."""
        self._connection.commit()

    def record(self, results: Iterable[CheckResult], *, at: datetime) -> None:
        """Store `results`; each replaces the same check's last result for that table and day."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO check_results VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                (
                    r.table, _text(r.day), r.check, r.verdict, r.passed_share, r.failing_rows, r.value,
                    r.warn_below, r.block_below, r.warn_above, r.block_above,
                    r.detail, json.dumps(r.sample, ensure_ascii=False) if r.sample else "[]", at.isoformat(),
                )
                for r in results
            ),
        )  # fmt: skip

    def results(self, *, day: date | None = None) -> list[CheckResult]:
        """Return the newest results, of one day or of all, by day, table and check."""
        of_day, values = ("", []) if day is None else ("WHERE day = ?", [day.isoformat()])
        query = f"SELECT * FROM check_results {of_day} ORDER BY day, table_name, check_name"  # noqa: S608  constants
        with closing(self._connection.execute(query, values)) as rows:
            return [_as_result(row) for row in rows]

    def forget_passed(self, *, before: datetime, dry_run: bool = False) -> tuple[int, int]:
        """Remove the results that are ok and were found before a time; profiles and acceptances stay.

        Args:
            before: the time, UTC.
            dry_run: count only.

        Returns:
            The number of results, and the bytes of their texts.
        """
        old, values = "verdict = 'ok' AND day <> ? AND checked_at < ?", (_WHOLE_TABLE, before.isoformat())
        size = "count(*), coalesce(sum(length(detail) + length(sample) + 100), 0)"
        ((removed, text),) = self._connection.execute(
            f"SELECT {size} FROM check_results WHERE {old}",  # noqa: S608  constants
            values,
        ).fetchall()
        if removed and not dry_run:
            self._connection.execute(f"DELETE FROM check_results WHERE {old}", values)  # noqa: S608  constants
            self._connection.commit()
        return removed, text

    def put_profiles(self, table: str, profiles: Mapping[date, bytes]) -> None:
        """Store the encoded profile of each day; it replaces the one before."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO profiles VALUES (?,?,?)",
            [(table, day.isoformat(), profile) for day, profile in profiles.items()],
        )

    def profiles(self, table: str, *, since: date, before: date) -> dict[date, bytes]:
        """Return the stored profiles of `since` <= day < `before`, oldest first."""
        with closing(
            self._connection.execute(
                "SELECT day, profile FROM profiles WHERE table_name = ? AND day >= ? AND day < ?"
                " ORDER BY day",
                (table, since.isoformat(), before.isoformat()),
            )
        ) as rows:
            return {date.fromisoformat(day): profile for day, profile in rows}

    def accept(self, acceptance: Acceptance) -> None:
        """Store who accepted a rejected day, why and when."""
        self._connection.execute(
            "INSERT OR REPLACE INTO acceptances VALUES (?,?,?,?,?,?)",
            (
                acceptance.table, acceptance.day.isoformat(), acceptance.fingerprint,
                acceptance.who, acceptance.why, acceptance.accepted_at.isoformat(),
            ),
        )  # fmt: skip

    def acceptances(self) -> list[Acceptance]:
        """Return every acceptance, by day and table."""
        with closing(self._connection.execute("SELECT * FROM acceptances ORDER BY day, table_name")) as rows:
            return [
                Acceptance(
                    table=row["table_name"],
                    day=date.fromisoformat(row["day"]),
                    fingerprint=row["fingerprint"],
                    who=row["who"],
                    why=row["why"],
                    accepted_at=datetime.fromisoformat(row["accepted_at"]),
                )
                for row in rows
            ]


def _text(day: date | None) -> str:
    return _WHOLE_TABLE if day is None else day.isoformat()


def _as_result(row: sqlite3.Row) -> CheckResult:
    return CheckResult(
        table=row["table_name"],
        check=row["check_name"],
        day=None if row["day"] == _WHOLE_TABLE else date.fromisoformat(row["day"]),
        verdict=row["verdict"],
        passed_share=row["passed_share"],
        failing_rows=row["failing_rows"],
        sample=json.loads(row["sample"]),
        value=row["value"],
        warn_below=row["warn_below"],
        block_below=row["block_below"],
        warn_above=row["warn_above"],
        block_above=row["block_above"],
        detail=row["detail"],
    )
