"""A forget from start to end: the request on the disk, each step in its order, the proof, and the record without ids.

Each step is durable before the next, and does nothing where it was done: a forget that was killed is finished by the
same command, or by the next build.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from recsys_assets.errors import ForgetError
from recsys_assets.orchestration.forgetting.steps import STEPS, Say
from recsys_assets.storage.forgotten import (
    RecordedForget,
    UnfinishedForget,
    end_forget,
    hash_of,
    note_step,
    read_unfinished_forgets,
    request_forget,
)
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import SHORTLY, build_lock, locked


def forget_users(home: Home, users: Collection[str], *, why: str, who: str, say: Say) -> RecordedForget:
    """Forget users, or finish a forget of the same users that was killed.

    Args:
        home: the home.
        users: their ids, at least one.
        why: the reason.
        who: login or name of an API key.
        say: called with a line on each thing that was done.

    Raises:
        BuildRunningError: a build is under way. The request is kept; the next build or the same command carries it out.
        ForgetError: something of the users is still there; the message says where, and what to do.
    """
    with locked(home.lock("forgets")):
        begun = request_forget(home, users, at=datetime.now(UTC), who=who, why=why)
    with build_lock(home, patience=SHORTLY):
        ended = finish_forgets(home, say)
    return next(one for one in ended if one.number == begun.number)


def finish_forgets(home: Home, say: Say) -> list[RecordedForget]:
    """Carry out every forget that was requested; the caller holds the build lock.

    Raises:
        ForgetError: something of the users is still there; the message says where, and what to do.
    """
    return [_carry_out(home, begun, say) for begun in read_unfinished_forgets(home)]


def _carry_out(home: Home, begun: UnfinishedForget, say: Say) -> RecordedForget:
    """Run the steps that have not ended, then the proof."""
    ids = frozenset(begun.users)
    done = {result.step: result for result in begun.steps}
    for name, step in STEPS:
        if name in done:
            continue
        done[name] = result = step(home, ids, number=begun.number)
        if result.detail:
            say(f"{name}: {result.detail}")
        if not result.unfinished:
            with locked(home.lock("forgets")):
                note_step(home, begun.number, result)
    left = [f"{result.step}: {result.unfinished}" for result in done.values() if result.unfinished]
    if left:
        raise ForgetError("\n".join([f"forget #{begun.number} has not ended:", *left]))
    recorded = RecordedForget(
        number=begun.number,
        at=begun.at,
        finished_at=datetime.now(UTC),
        who=begun.who,
        why=begun.why,
        salt=begun.salt,
        users=tuple(hash_of(begun.salt, user) for user in begun.users),
        steps=tuple(done[name] for name, _ in STEPS),
    )
    with locked(home.lock("forgets")):
        end_forget(home, recorded)
    return recorded
