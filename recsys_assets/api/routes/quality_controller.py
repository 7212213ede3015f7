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


_ROWS = """
SELECT table_name, check_name, day, verdict, value, warn_above, failing_rows, detail FROM check_results
WHERE day IN (SELECT DISTINCT day FROM check_results WHERE day <> '' ORDER BY day DESC LIMIT ?)
ORDER BY table_name, check_name, day
"""


def check_histories(path: Path, *, days: int) -> list[CheckHistory]:
    """Return every check with its results on the last `days` days that have any; empty before the first check."""
    if not path.is_file():
        return []
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)) as connection:
        try:
            rows = connection.execute(_ROWS, (days,)).fetchall()
        except sqlite3.OperationalError:
            return []  # the ledger is being created
    found: dict[tuple[str, str], list[CheckDay]] = {}
    for table, check, day, verdict, value, warn_above, failing_rows, detail in rows:
        result = CheckDay(
            day=day,
            verdict=verdict,
            value=value,
            warn_above=warn_above,
            failing_rows=failing_rows,
            detail=detail,
        )
        found.setdefault((table, check), []).append(result)
    return [CheckHistory(table=table, check=check, days=results) for (table, check), results in found.items()]
