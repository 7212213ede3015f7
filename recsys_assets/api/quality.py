"""Reading `quality.sqlite` for the page: how each check stood on each day. The standard library only."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from recsys_assets.api.operation_schemas import CheckDay, CheckHistory

_ROWS = """
SELECT table_name, check_name, day, verdict, value, warn_above, failing_rows, detail FROM check_results
WHERE day IN (SELECT DISTINCT day FROM check_results WHERE day <> '' ORDER BY day DESC LIMIT ?)
ORDER BY table_name, check_name, day
"""


def check_histories(path: Path, *, days: int) -> list[CheckHistory]:
    """Every check by day, for the last so many days that have any; empty where nothing was checked yet."""
    if not path.is_file():
        return []
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)) as connection:
        try:
            rows = connection.execute(_ROWS, (days,)).fetchall()
        except sqlite3.OperationalError:
            return []  # the ledger is being made
    found: dict[tuple[str, str], list[CheckDay]] = {}
    for table, check, day, verdict, value, warn_above, failing_rows, detail in rows:
        of_day = CheckDay(
            day=day,
            verdict=verdict,
            value=value,
            warn_above=warn_above,
            failing_rows=failing_rows,
            detail=detail,
        )
        found.setdefault((table, check), []).append(of_day)
    return [CheckHistory(table=table, check=check, days=of) for (table, check), of in found.items()]
