"""Results of the data checks by day, read from the quality ledger."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import get
from litestar.params import Parameter
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import Reply, encode
from recsys_assets.api.openapi import answers, release_headers
from recsys_assets.api.schemas.operation_schemas import (
    Attention,
    CheckDay,
    CheckHistory,
    DayRows,
    Finding,
    HomeRows,
    Quality,
    ReasonRows,
)
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.quality.questions import Question, question_of
from recsys_assets.quality.row_account import HomeAccount, RowAccount, prepare_accounts, stored_accounts
from recsys_assets.quality.stored_results import StoredDay, prepare_results, stored_days
from recsys_assets.storage.home import Home

Days = Annotated[int, Parameter(ge=1, le=400, description="How many days, the last ones, 1-400.")]

_ROWS_SHOWN = 10


class QualityController(ServiceController):
    """Results of the data checks."""

    tags = ("Operations",)

    @get(
        "/quality",
        summary="Checks of the data by day",
        operation_id="listQuality",
        responses=answers(Quality),
        response_headers=release_headers(),
    )
    async def quality(self, scope: Scope, days: Days = 60) -> ASGIApp:
        serving = self.service.serving()
        home = self.service.live.home

        def reply() -> Reply:
            ledger = home.quality_db
            found = Quality(
                release=serving.release_id,
                attention=attention(ledger, days=days, option=home.option),
                checks=check_histories(ledger, days=days),
                rows=rows_of_home(home, days=days),
            )
            return Reply(encode(found), release=serving.release_header)

        return await self.service.slowly(scope, "quality", reply)


_LAST_DAYS = """
WHERE day IN (SELECT DISTINCT day FROM day_results WHERE day <> '' ORDER BY day DESC LIMIT ?)
ORDER BY table_name, day
"""
_LAST_TROUBLED = """
WHERE verdict <> 'ok' AND (day = '' OR day IN (
    SELECT DISTINCT day FROM day_results WHERE verdict <> 'ok' AND day <> '' ORDER BY day DESC LIMIT ?))
ORDER BY day <> '', day DESC, verdict, table_name
"""


def check_histories(path: Path, *, days: int) -> list[CheckHistory]:
    """Return every check with its results on the last `days` days that have any; empty before the first check."""
    found: dict[tuple[str, str], list[CheckDay]] = {}
    for table, day, results in _read(path, _LAST_DAYS, days):
        for result in results:
            of_day = CheckDay(
                day=day,
                verdict=result.verdict,
                value=result.value,
                warn_above=result.warn_above,
                failing_rows=result.failing_rows,
                detail=result.detail,
            )
            found.setdefault((table, result.check), []).append(of_day)
    return [
        CheckHistory(table=table, check=check, days=of_days)
        for (table, check), of_days in sorted(found.items())
    ]


def rows_of_home(home: Home, *, days: int) -> HomeRows | None:
    """Return the account of all rows as of the last build, and those of the last `days` days that left a row out."""
    try:
        found = msgspec.json.decode(home.row_account.read_bytes(), type=HomeAccount)
    except FileNotFoundError:
        return None
    with closing(_connection(home.quality_db)) as connection:
        prepare_accounts(connection)
        accounts = stored_accounts(connection, since="")
    newest_first = [(day, one) for day, one in reversed(accounts.items()) if one.reasons]
    return HomeRows(
        rows=found.source_rows,
        interactions=found.account.kept,
        left_out=_reasons(found.account),
        differences=found.differences,
        days=[
            DayRows(day=day, rows=one.rows, interactions=one.kept, left_out=_reasons(one))
            for day, one in newest_first[:days]
        ],
    )


def _reasons(account: RowAccount) -> list[ReasonRows]:
    return [msgspec.convert(row, ReasonRows) for row in account.rows_by_reason()]


def attention(path: Path, *, days: int, option: str = "") -> list[Attention]:
    """Return the questions not answered as they should be, of the last `days` days that have one, however long ago.

    The newest day comes first, before all days a table that has none; of a day the rejected tables come first. The
    commands end with `option`, that of the home.
    """
    found = []
    for table, day, results in _read(path, _LAST_TROUBLED, days):
        of_questions: dict[Question, list[Finding]] = {}
        for result in sorted(results, key=lambda result: (result.verdict != "block", -result.failing_rows)):
            if result.verdict != "ok":
                question = question_of(table, result.check) or _other_question(result.check)
                of_questions.setdefault(question, []).append(
                    Finding(
                        check=result.check,
                        verdict=result.verdict,
                        detail=result.detail,
                        failing_rows=result.failing_rows,
                        rows=result.sample[:_ROWS_SHOWN],
                    )
                )
        found += [
            Attention(
                day=day or None,
                table=table,
                question=question.asks,
                why=question.why,
                remedy=question.remedy.replace("DAY", day) if day else question.remedy,
                command=_command(day, findings, option=option),
                findings=findings,
            )
            for question, findings in of_questions.items()
        ]
    return found


def _other_question(check: str) -> Question:
    """Return a question for a check that an older version wrote, which no question of today has."""
    return Question(name=check, asks=check.replace("_", " "), why="", remedy="", checks=(check,))


def _command(day: str, findings: list[Finding], *, option: str) -> str | None:
    if not day:
        return None
    rejected = any(finding.verdict == "block" for finding in findings)
    return f"recsys {'quarantine show' if rejected else 'report'} {day}{option}"


def _read(path: Path, where: str, days: int) -> list[StoredDay]:
    """Return the rows of the ledger that a clause selects; none before the first check."""
    if not path.is_file():
        return []
    with closing(_connection(path)) as connection:
        try:
            prepare_results(connection)
            return list(stored_days(connection, where, (days,)))
        except sqlite3.OperationalError:
            return []  # the ledger is being created


def _connection(ledger: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(ledger))}?mode=rw", uri=True, timeout=5)
