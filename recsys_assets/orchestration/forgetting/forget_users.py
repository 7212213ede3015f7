"""A forget from start to end: the request on the disk, each step in its order, the proof, and the record without ids.

Each step is durable before the next, and does nothing where it was done: a forget that was killed is finished by the
same command, or by the next build.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec

from recsys_assets.errors import ForgetError
from recsys_assets.intake.events_of_home import bring_events
from recsys_assets.intake.merged_users import stored_merges, with_merged
from recsys_assets.orchestration.forgetting.other_steps import OTHER_STEPS
from recsys_assets.orchestration.forgetting.proof import scan_home, scan_in_words
from recsys_assets.orchestration.forgetting.steps import STEPS as STEPS_OF_DATA
from recsys_assets.orchestration.recall_home import finish_recalls
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.atomic import remove_file
from recsys_assets.storage.forgotten import (
    RecordedForget,
    StepResult,
    UnfinishedForget,
    end_forget,
    hash_of,
    note_steps,
    read_forgets,
    read_unfinished_forgets,
    request_forget,
)
from recsys_assets.storage.home import Home
from recsys_assets.storage.id_form import normal_id
from recsys_assets.storage.locks import SHORTLY, build_lock, locked
from recsys_assets.storage.string_table import Vocabulary

Say = Callable[[str], None]
STEPS: Final = (*STEPS_OF_DATA, *OTHER_STEPS)
"""All steps, in the order in which they are run."""


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
    bring_events(home)  # with the merges of other machines
    ended_before = {one for forget in read_forgets(home) for one in forget.users}
    with locked(home.lock("forgets")):
        begun = request_forget(home, known_ids(home, users), at=datetime.now(UTC), who=who, why=why)
    if ended_before.issuperset(hash_of(begun.salt, user) for user in begun.users):
        say("Forgotten before: what came since is removed, and the home is read again.")
    with build_lock(home, patience=SHORTLY):
        ended = finish_forgets(home, say)
    return next(one for one in ended if one.number == begun.number)


def known_ids(home: Home, users: Collection[str]) -> frozenset[str]:
    """Return the ids as the home has them, with all others of the same persons, by the merges of users.

    An id is as it is given and, where nothing was learnt of that, in its one form too.

    Raises:
        ForgetError: a text is no id.
        EventsUnavailableError: the merges cannot be read.
    """
    known: Vocabulary | None = None
    with suppress(OSError, ValueError):  # nothing was built yet
        known = Vocabulary.load(home.artifact("embeddings"), "users")
    forms = {user: user if known is not None and user in known else normal_id(user) for user in users}
    if None in forms.values() or not forms:
        raise ForgetError(
            f"{', '.join(map(repr, users)) or 'nobody'}: no id of a user; give the ids as the source has them"
        )
    return with_merged(stored_merges(home.events_db), {one for pair in forms.items() for one in pair if one})


def forget_pending(home: Home, *, say: Say) -> list[RecordedForget]:
    """Carry out every forget that was requested and has not ended; errors as in `forget_users`."""
    with build_lock(home, patience=SHORTLY):
        return finish_forgets(home, say)


def finish_forgets(home: Home, say: Say) -> list[RecordedForget]:
    """Carry out every forget that was requested; the caller holds the build lock.

    Raises:
        ForgetError: something of the users is still there; the message says where, and what to do.
    """
    unfinished = read_unfinished_forgets(home)
    if unfinished:  # a recall under way names files that change now
        finish_recalls(home, load_or_default_settings(home), say)
    return [_carry_out(home, begun, say) for begun in unfinished]


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
                note_steps(
                    home,
                    begun.number,
                    [one for one in done.values() if not one.unfinished],
                )
    if left := [f"  {one.step}: {one.unfinished}" for one in done.values() if one.unfinished]:
        raise ForgetError("\n".join([f"forget #{begun.number} has not ended:", *left]))
    if not any(one.changed or one.detail for one in done.values()):
        say("Nothing of them was here. An id is found only as the source has it.")
    return _ended(home, begun, [done[name] for name, _ in STEPS], say)


def _ended(home: Home, begun: UnfinishedForget, steps: list[StepResult], say: Say) -> RecordedForget:
    """Read the whole home for the ids, and record the end where they are in no file."""
    remove_file(home.forget_changes)
    proof = scan_home(home, begun.users, besides=[home.unfinished_forgets])
    for line in scan_in_words(proof):
        say(line)
    if proof.found:
        with locked(home.lock("forgets")):
            note_steps(home, begun.number, ())  # something was written since the first of them
        raise ForgetError(
            f"forget #{begun.number} has not ended: the places above have the id. Run the same command again; remove a"
            " file that no command of this product wrote yourself"
        )
    recorded = RecordedForget(
        number=begun.number,
        at=begun.at,
        finished_at=datetime.now(UTC),
        who=begun.who,
        why=begun.why,
        salt=begun.salt,
        users=tuple(hash_of(begun.salt, user) for user in begun.users),
        steps=tuple(steps),
        proof=msgspec.to_builtins(proof),
    )
    with locked(home.lock("forgets")):
        end_forget(home, recorded)
    return recorded
