"""A catalogue that landed, put in force for serving at once, and what that means for the states of items."""

from datetime import datetime
from typing import Any

import polars as pl

from recsys_assets import columns
from recsys_assets.intake.newest_catalogue import CatalogueRow, read_newest, write_newest
from recsys_assets.intake.state_takeover import Takeover, take_over
from recsys_assets.intake.states_of_home import states_of
from recsys_assets.lake.item_catalogue import read_catalogue
from recsys_assets.orchestration.metadata import rows_table
from recsys_assets.storage.home import Home

_SHOWN = 100
"""Most disagreements in the metadata of a run."""


def put_catalogue_in_force(home: Home, frame: pl.DataFrame, *, now: datetime) -> Takeover:
    """Let servers see the categories and prices of a catalogue, and take over the states that say the same.

    Args:
        home: where servers look.
        frame: the catalogue, one row an item.
        now: the time, UTC.

    Raises:
        ItemStatesUnavailableError: the states cannot be read or written.
    """
    _write(home, frame)
    catalogue = read_newest(home.catalogue_now)
    if catalogue is None:
        return Takeover([], [])
    return take_over(states_of(home), catalogue, now=now)


def write_again(home: Home) -> str:
    """Write what servers see from the catalogue that landed last; return that in words."""
    _write(home, read_catalogue(home.catalogue))
    return "it is written again from the catalogue"


def _write(home: Home, frame: pl.DataFrame) -> None:
    wanted = frame.select(columns.ITEM_ID, columns.CATEGORY, columns.PRICE)
    write_newest(home.catalogue_now, (CatalogueRow(*row) for row in wanted.iter_rows()))


def takeover_metadata(found: Takeover) -> dict[str, Any]:
    """Return the metadata of the catalogue's run about states; none where no state was concerned."""
    if not found.taken_over and not found.disagreements:
        return {}
    rows = [one._asdict() for one in found.disagreements[:_SHOWN]]
    said = [{name: str(value) for name, value in row.items()} for row in rows]
    return {
        "item_states_taken_over": len(found.taken_over),
        "item_states_that_disagree": len(found.disagreements),
        **({"disagreements": rows_table(said)} if said else {}),
    }
