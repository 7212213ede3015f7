"""The ledger `quality.sqlite`: the newest result of every check by table and day, day profiles, acceptances.

Results are replaced when a day is audited again: the ledger says how things stand. Writers keep one `Ledger`
open for a run and flush in batches; readers open their own.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

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
_RESULT_COLUMNS = (
    "table_name, check_name, verdict, day, passed_share, failing_rows, sample, value, "
    "warn_below, block_below, warn_above, block_above, detail"
)


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """A refused day that a person let through."""

    table: str
    """The table's name."""
    day: date
    """The partition."""
    fingerprint: str
    """Of the accepted rows: another delivery of the same day is not covered."""
    who: str
    """Who accepted."""
    why: str
    """Their reason, as given."""
    accepted_at: datetime
    """When, UTC."""


class Ledger:
    """Reads and writes `quality.sqlite`; a context manager that flushes at its end."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`, made with its folder where there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=30)
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
        """Keep `results`, each in place of the same check's last result for that table and day."""
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

    def results(
        self,
        *,
        table: str | None = None,
        day: date | None = None,
        verdicts: Sequence[str] = ("ok", "warn", "block"),
    ) -> list[CheckResult]:
        """The newest results, by day, table and check; narrowed to a table, a day, verdicts."""
        where = [f"verdict IN ({','.join('?' * len(verdicts))})"]
        values: list[Any] = list(verdicts)
        if table is not None:
            where.append("table_name = ?")
            values.append(table)
        if day is not None:
            where.append("day = ?")
            values.append(day.isoformat())
        query = (
            f"SELECT {_RESULT_COLUMNS} FROM check_results WHERE {' AND '.join(where)} "  # noqa: S608  constants only
            "ORDER BY day, table_name, check_name"
        )
        with closing(self._connection.execute(query, values)) as rows:
            return [_result(row) for row in rows]

    def put_profiles(self, table: str, profiles: Mapping[date, bytes]) -> None:
        """Keep the encoded profile of each day, in place of the one before."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO profiles VALUES (?,?,?)",
            [(table, day.isoformat(), profile) for day, profile in profiles.items()],
        )

    def profiles(self, table: str, *, since: date, before: date) -> dict[date, bytes]:
        """The kept profiles of `since` <= day < `before`, oldest first."""
        with closing(
            self._connection.execute(
                "SELECT day, profile FROM profiles WHERE table_name = ? AND day >= ? AND day < ?"
                " ORDER BY day",
                (table, since.isoformat(), before.isoformat()),
            )
        ) as rows:
            return {date.fromisoformat(day): profile for day, profile in rows}

    def accept(self, acceptance: Acceptance) -> None:
        """Keep who let a refused day through, why and when."""
        self._connection.execute(
            "INSERT OR REPLACE INTO acceptances VALUES (?,?,?,?,?,?)",
            (
                acceptance.table, acceptance.day.isoformat(), acceptance.fingerprint,
                acceptance.who, acceptance.why, acceptance.accepted_at.isoformat(),
            ),
        )  # fmt: skip

    def acceptances(self) -> list[Acceptance]:
        """Every acceptance, by day and table."""
        with closing(self._connection.execute("SELECT * FROM acceptances ORDER BY day, table_name")) as rows:
            return [
                Acceptance(
                    table=table,
                    day=date.fromisoformat(day),
                    fingerprint=fingerprint,
                    who=who,
                    why=why,
                    accepted_at=datetime.fromisoformat(at),
                )
                for table, day, fingerprint, who, why, at in rows
            ]


def _text(day: date | None) -> str:
    return _WHOLE_TABLE if day is None else day.isoformat()


def _result(row: tuple[Any, ...]) -> CheckResult:
    names = [name.strip() for name in _RESULT_COLUMNS.split(",")]
    fields = dict(zip(names, row, strict=True))
    return CheckResult(
        table=fields.pop("table_name"),
        check=fields.pop("check_name"),
        day=date.fromisoformat(fields.pop("day")) if fields["day"] else fields.pop("day") or None,
        sample=json.loads(fields.pop("sample")),
        **fields,
    )
