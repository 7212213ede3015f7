"""The experiments as they were valid last: a copy in the home, for a server that starts while the file is broken."""

import contextlib
import logging

from recsys_assets.errors import ExperimentsError
from recsys_assets.experiments.experiments_file import experiments_content, parse_experiments
from recsys_assets.experiments.standing import Standing, read_ends, with_ends
from recsys_assets.storage.atomic import read_file, remove_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

log = logging.getLogger("recsys.api")


def keep_last_good(home: Home) -> None:
    """Keep a valid `experiments.toml` beside it; where there is none, keep none. One worker's turn is enough.

    A copy that cannot be written, in a read-only home or on a full disk, is only logged: the experiments run.

    Raises:
        ExperimentsError: the file is not valid by now.
    """
    content, kept = experiments_content(home), home.last_good_experiments
    if content is None and not kept.exists():
        return
    if content is not None:
        parse_experiments(content, home.experiments_file)
        with contextlib.suppress(OSError):
            if read_file(kept) == content:
                return
    try:
        with locked(home.lock("experiments"), wait=False):
            if content is None:
                remove_file(kept)
            else:
                replace_file(kept, content)
    except BlockingIOError:
        return
    except OSError as error:
        log.warning("the last good experiments cannot be kept for the next start", extra={"why": str(error)})


def last_good(home: Home) -> list[Standing]:
    """Return the experiments that were valid last, with their ends; none where none were.

    Raises:
        ExperimentsError: the copy or the log of ends cannot be read.
    """
    try:
        content = read_file(home.last_good_experiments)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ExperimentsError(
            f"{home.last_good_experiments}: cannot be read ({error.strerror}); remove it"
        ) from None
    ends = read_ends(home)
    return [with_ends(one, ends) for one in parse_experiments(content, home.last_good_experiments)]
