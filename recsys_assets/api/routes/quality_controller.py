"""Results of the data checks by day, read from the quality ledger."""

from typing import Annotated

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
from recsys_assets.quality.ledger_place import LedgerPlace
from recsys_assets.quality.questions import Question, question_of
from recsys_assets.quality.read_results import all_accounts, last_days, last_troubled
from recsys_assets.quality.row_account import HomeAccount, RowAccount
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
        home, ledger = self.service.live.home, self.service.ledger

        def reply() -> Reply:
            found = Quality(
                release=serving.release_id,
                attention=attention(ledger, days=days, option=home.option),
                checks=check_histories(ledger, days=days),
                rows=rows_of_home(home, ledger, days=days),
            )
            return Reply(encode(found), release=serving.release_header)

        return await self.service.slowly(scope, "quality", reply)


def check_histories(place: LedgerPlace, *, days: int) -> list[CheckHistory]:
    """Return every check with its results on the last `days` days that have any; empty before the first check."""
    found: dict[tuple[str, str], list[CheckDay]] = {}
    for table, day, results in last_days(place, days=days):
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


def rows_of_home(home: Home, place: LedgerPlace, *, days: int) -> HomeRows | None:
    """Return the account of all rows as of the last build, and those of the last `days` days that left a row out."""
    try:
        found = msgspec.json.decode(home.row_account.read_bytes(), type=HomeAccount)
    except FileNotFoundError:
        return None
    accounts = all_accounts(place)
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


def attention(place: LedgerPlace, *, days: int, option: str = "") -> list[Attention]:
    """Return the questions not answered as they should be, of the last `days` days that have one, however long ago.

    The newest day comes first, before all days a table that has none; of a day the rejected tables come first. The
    commands end with `option`, that of the home.
    """
    found = []
    for table, day, results in last_troubled(place, days=days):
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
