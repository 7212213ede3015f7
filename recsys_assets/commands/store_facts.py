"""The object store of a home, in the words of `recsys doctor`: where it is, whether it answers, and what waits here."""

from typing import Final

from recsys_assets.errors import ObjectMissingError, ObjectStoreError, SettingsError, StoreUnavailableError
from recsys_assets.storage.copied_files import differs, files_of
from recsys_assets.storage.copy_index import CopyIndex, read_index
from recsys_assets.storage.home import Home
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.working_copy import HEAD, decoded_head

_SHOWN: Final = 3
"""Most files that are named."""


def facts_of_store(home: Home) -> list[tuple[str, str]]:
    """Return name and state of the home's object store; nothing where it has none. An outage is not waited for."""
    place = place_of(home.root)
    if place is None:
        return []
    index = read_index(home.root)
    try:
        store = working_copy(home.root).store
        head = decoded_head(place.root, store.get(HEAD).content)
    except ObjectMissingError:
        state = "answers; nothing was pushed there yet"
    except (StoreUnavailableError, ObjectStoreError, SettingsError) as error:
        state = f"cannot be used: {error}; this home has push {index.number}"
    else:
        newest = f"push {head.number} by {head.who} at {head.at[:19]} UTC"
        state = f"answers; {newest}" + (
            "" if head.number == index.number else f", this home has push {index.number}"
        )
    return [("store", f"{place.root} {state}"), *_waiting(home, index)]


def _waiting(home: Home, index: CopyIndex) -> list[tuple[str, str]]:
    """Return the files that changed here since the last push or pull."""
    changed = sorted(key for key in files_of(home.root) if differs(index, home.root, key))
    if not changed:
        return []
    named = ", ".join(changed[:_SHOWN]) + (
        f" and {len(changed) - _SHOWN:,} more" if len(changed) > _SHOWN else ""
    )
    return [("", f"not pushed yet: {named}; the next `recsys build` does")]
