"""The marker of a first `recsys init` that did not end well: a home that was meant for one source gets no other."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import msgspec

from recsys_assets.errors import SettingsError
from recsys_assets.storage.atomic import remove_file, replace_file
from recsys_assets.storage.home import Home


class RejectedInit(msgspec.Struct, frozen=True, kw_only=True):
    """A source that a home was meant for."""

    command: str
    """The command line."""
    started: datetime
    """UTC."""
    error: str = "it was interrupted"
    """Reason why there are no settings."""


@contextmanager
def initialising(home: Home, *, command: str, started: datetime) -> Iterator[None]:
    """Run the block that writes the first settings of `home`; where it fails, the marker keeps command and error.

    In a home that has settings nothing is marked: they stay in force. A killed process leaves the marker, too.
    """
    if home.settings_file.exists():
        yield
        return
    marker = RejectedInit(command=command, started=started)
    replace_file(home.init_marker, msgspec.json.encode(marker))
    try:
        yield
    except Exception as error:
        marker = msgspec.structs.replace(marker, error=" ".join(str(error).split()) or type(error).__name__)
        replace_file(home.init_marker, msgspec.json.encode(marker))
        raise
    remove_file(home.init_marker)


def require_no_rejected_init(home: Home) -> None:
    """Check that nobody meant a home without settings for a source that could not be read.

    Raises:
        SettingsError: somebody did; the message has the reason and the command.
    """
    if home.settings_file.exists():
        return
    with suppress(OSError, msgspec.MsgspecError):
        found = msgspec.json.decode(home.init_marker.read_bytes(), type=RejectedInit)
        raise SettingsError(
            f"{home.root}: no settings here, since `{found.command}` failed at {found.started:%Y-%m-%d %H:%M} UTC: "
            f"{found.error.rstrip('.')}; mend that and run it again, or `recsys init{home.option}` for the embedded "
            "default"
        )
