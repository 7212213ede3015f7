"""Results of the data checks by day, read from the quality ledger."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from litestar import get
from litestar.params import Parameter
from litestar.types import ASGIApp

from recsys_assets.api.http.bodies import Reply, encode
from recsys_assets.api.openapi import answers, release_headers
from recsys_assets.api.schemas.operation_schemas import CheckDay, CheckHistory, Quality
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.quality.stored_results import prepare_results, stored_days

Days = Annotated[int, Parameter(ge=1, le=400, description="How many days, the last ones, 1-400.")]


class QualityController(ServiceController):
    """Results of the data checks."""

    tags = ("Operations",)

    @get(
        "/quality",
        summary="Checks of the data by day",
        operation_id="listQuality",
        sync_to_thread=True,
        responses=answers(Quality),
        response_headers=release_headers(),
    )
    def quality(self, days: Days = 60) -> ASGIApp:
        serving = self.service.serving()
        checks = check_histories(self.service.live.home.quality_db, days=days)
        return Reply(
            encode(Quality(release=serving.release_id, checks=checks)), release=serving.release_header
        )


_LAST_DAYS = """
WHERE day IN (SELECT DISTINCT day FROM day_results WHERE day <> '' ORDER BY day DESC LIMIT ?)
ORDER BY table_name, day
"""


def check_histories(path: Path, *, days: int) -> list[CheckHistory]:
    """Return every check with its results on the last `days` days that have any; empty before the first check."""
    if not path.is_file():
        return []
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=5)) as connection:
        try:
            prepare_results(connection)
            stored = list(stored_days(connection, _LAST_DAYS, (days,)))
        except sqlite3.OperationalError:
            return []  # the ledger is being created
    found: dict[tuple[str, str], list[CheckDay]] = {}
    for table, day, results in stored:
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
