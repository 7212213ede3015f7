"""Waiting for a server that does not answer: tried again until it is back, said now and then, given up in the end."""

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
Say = Callable[[str], None]

_FIRST_SECONDS: Final = 2.0
"""An outage that is shorter is not worth a line."""
_AGAIN_SECONDS: Final = 10.0
"""Time between two lines."""
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5)
"""Seconds between the first tries; the last pause stays."""
_given_up: Final = set[str]()
"""Servers that this process has waited for in vain: each is tried once a call, until it answers."""
_log: Final = logging.getLogger("recsys.waiting")


def say_on_log(line: str) -> None:
    """Write a line on this process's log; on its standard error where no log is set up."""
    _log.warning(line)


def keep_trying(
    attempt: Callable[[], T],
    *,
    name: str,
    is_outage: Callable[[Exception], bool],
    seconds: float,
    say: Say = say_on_log,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    given_up: set[str] = _given_up,
    why: Callable[[Exception], str] | None = None,
) -> T:
    """Return the result of `attempt`, which is called again while its server does not answer.

    Args:
        attempt: may run several times, so that it has to give the same whether or not an earlier try went through.
        name: the server in words, without a password.
        is_outage: returns True for an error that may be gone at the next try; others are raised at once.
        seconds: longest time from the first failure to the last try.
        say: is given `NAME: no answer for 12 s; waiting`, and a line when the server is back.
        clock: seconds, growing.
        sleep: waits.
        given_up: names of servers that were waited for in vain, which are not waited for again before they answer: a
            command that fails writes several records of that.
        why: returns the reason in an error, without a password, for the line.

    Raises:
        Exception: the last error of `attempt`, once the time is over.
    """
    first, said, tries, reason = 0.0, 0.0, 0, ""
    seconds = 0.0 if name in given_up else seconds
    while True:
        try:
            found = attempt()
        except Exception as error:
            now = clock()
            first = first if tries else now
            if not is_outage(error):
                raise
            reason = "" if why is None else f" ({why(error)})"
            if now - first >= seconds:
                if seconds > 0:
                    given_up.add(name)
                raise
        else:
            given_up.discard(name)
            if said:
                say(f"{name}: back after {clock() - first:.0f} s")
            return found
        waited = now - first
        if waited >= _FIRST_SECONDS and (not said or now - said >= _AGAIN_SECONDS):
            say(f"{name}: no answer for {waited:.0f} s{reason}; waiting")
            said = now
        sleep(min(_PAUSES[min(tries, len(_PAUSES) - 1)], max(seconds - waited, 0.01)))
        tries += 1
