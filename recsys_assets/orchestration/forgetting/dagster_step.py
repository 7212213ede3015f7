"""Forget users in Dagster's own records: rows in metadata, messages of runs, and the output of their processes.

Records stay, since a build takes a day for fresh by them; only what names the user in them is taken out.
"""

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as db

from recsys_assets.orchestration.forgetting.taken_out_databases import without_in_cell
from recsys_assets.orchestration.forgetting.taken_out_files import take_out_of_file
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.database_urls import parse_database_url
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home

_BESIDE: Final = ("-wal", "-shm", "-journal")
_DRIVER: Final = "postgresql+psycopg2"


def forget_in_dagster(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Take the users out of Dagster's databases, in the home or on its Postgres server, and the output of its runs.

    The output of a process that runs now is changed in its place.
    """
    wanted, changed, files = WantedIds(ids), 0, 0
    for file in sorted(home.dagster.rglob("*")):
        if file.is_file() and not file.is_symlink() and not file.name.endswith(_BESIDE):
            found = take_out_of_file(file, wanted, appended=True)
            changed, files = changed + found, files + bool(found)
    detail = f"{changed:,} rows, messages and lines in {files:,} files (forget #{number})" if changed else ""
    address = load_or_default_settings(home).dagster.postgres
    if address:
        try:
            on_server = take_out_of_postgres(address, wanted)
        except db.exc.SQLAlchemyError as error:
            shown = parse_database_url(address)
            return StepResult(
                step="dagster",
                detail=detail,
                changed=changed,
                unfinished=f"{shown.shown}: Dagster's records cannot be reached ({shown.one_line(error)}); start the "
                "server and run `recsys forget` again",
            )
        changed += on_server
        if on_server:
            detail = "; ".join(filter(None, [detail, f"{on_server:,} records on the server"]))
    return StepResult(step="dagster", detail=detail, changed=changed)


def take_out_of_postgres(address: str, wanted: WantedIds) -> int:
    """Take users out of the texts of Dagster's tables on a server, and return the number of records.

    The tables are vacuumed afterwards, which frees the old rows' pages; what backups and archived logs of the server
    hold is its owner's to remove.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the server cannot be reached, or rejects a statement.
    """
    engine = db.create_engine(db.make_url(address).set(drivername=_DRIVER))
    try:
        with engine.begin() as connection:
            changed = {table: _take_out_of_table(connection, table, wanted) for table in _tables(connection)}
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table, rows in changed.items():
                if rows:
                    name = engine.dialect.identifier_preparer.format_table(table)
                    connection.execute(db.text(f"VACUUM FULL {name}"))
    finally:
        engine.dispose()
    return sum(changed.values())


def _tables(connection: db.Connection) -> list[db.Table]:
    """Return the tables of Dagster: those of a database of its own, or of the schema that the address names."""
    found = db.MetaData()
    found.reflect(connection)
    return [table for name, table in sorted(found.tables.items()) if table.primary_key.columns]


def _take_out_of_table(connection: db.Connection, table: db.Table, wanted: WantedIds) -> int:
    texts = [column for column in table.columns if isinstance(column.type, db.String)]
    keys = list(table.primary_key.columns)
    if not texts:
        return 0
    marked = [column.contains(form, autoescape=True) for column in texts for form in wanted.spellings]
    rows = connection.execute(db.select(*keys, *texts).where(db.or_(*marked))).all()
    changed = 0
    for row in rows:
        new = dict(_blanked(row[len(keys) :], texts, wanted))
        if new:
            this = db.and_(*(key == value for key, value in zip(keys, row[: len(keys)], strict=True)))
            connection.execute(db.update(table).where(this).values(new))
            changed += 1
    return changed


def _blanked(cells: Any, columns: list[db.Column[Any]], wanted: WantedIds) -> Iterator[tuple[str, Any]]:
    for column, cell in zip(columns, cells, strict=True):
        new, number = without_in_cell(cell, column.name, wanted) if cell is not None else (None, 0)
        if number:
            yield column.name, new
