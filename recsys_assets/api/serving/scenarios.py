"""The rules beside a release: bound in the background when it is loaded, followed while the file changes."""

import asyncio
import logging
import threading
from collections.abc import Sequence

from recsys_assets.api.serving.queries import Ranked, Wanted
from recsys_assets.api.serving.recommender import Recommender
from recsys_assets.errors import RecsysError, ReleaseError
from recsys_assets.rules.engine.requests import Answered, Asked
from recsys_assets.rules.rules_file import Engine, Followed, RulesFollower
from recsys_assets.storage.home import Home

log = logging.getLogger("recsys.api")


class Scenarios:
    """The engine of one release's rules. Reading its features takes a moment, so serving need not wait."""

    def __init__(self, recommender: Recommender, home: Home) -> None:
        self._recommender = recommender
        self._home = home
        self._follower: RulesFollower | None = None
        self._failure: str | None = None
        self._built = threading.Event()

    def start(self) -> None:
        """Bind in the background."""
        threading.Thread(target=self.build, name="recsys-rules", daemon=True).start()

    def build(self) -> None:
        """Bind here."""
        try:
            self._follower = RulesFollower(self._recommender.release, self._home)
            self._tell()
        except RecsysError as error:
            self._failure = str(error)
            log.exception("no scenario can be served")
        finally:
            self._built.set()

    def look(self) -> None:
        """Take up a changed rules file; cheap where nothing changed."""
        if self._follower is not None and self._follower.look():
            self._tell()

    @property
    def followed(self) -> Followed | None:
        """The rules served, and why newer ones are not; None while they are being bound."""
        return None if self._follower is None else self._follower.followed

    async def engine(self) -> Engine:
        """The engine to answer this request from; take it once a request.

        Raises:
            ReleaseError: the release's rules cannot be bound.
        """
        if not self._built.is_set():
            await asyncio.to_thread(self._built.wait)
        if self._follower is None:
            raise ReleaseError(self._failure or "no rules are bound")
        return self._follower.followed.engine

    def _tell(self) -> None:
        followed = self.followed
        if followed is None:
            return
        if followed.problem is not None:
            log.warning("rules refused; the last good ones stay", extra={"why": followed.problem})
        else:
            log.info(
                "rules in force",
                extra={"rules": followed.engine.version, "file": str(followed.engine.rules.path)},
            )


def asked_by_user(
    recommender: Recommender, user_id: str, wanted: Wanted, *, diversity: float | None
) -> Asked:
    """What a scenario is asked for a user; the events since the release count as a session."""
    return Asked(
        k=wanted.k,
        user_id=user_id,
        user_num=recommender.release.users.num(user_id),
        session=recommender.since(user_id),
        exclude=recommender.known_items(wanted.exclude)[0] if wanted.exclude else (),
        include_seen=wanted.include_seen,
        category=wanted.category,
        diversity=diversity,
    )


def asked_by_session(
    recommender: Recommender, nums: Sequence[int], wanted: Wanted, *, diversity: float | None
) -> Asked:
    """What a scenario is asked for a session of known items."""
    return Asked(
        k=wanted.k,
        session=nums,
        exclude=recommender.known_items(wanted.exclude)[0] if wanted.exclude else (),
        include_seen=wanted.include_seen,
        category=wanted.category,
        diversity=diversity,
    )


def as_ranked(answered: Answered, asked: Asked) -> Ranked:
    """A scenario's answer as the routes and the metrics know answers."""
    reason = None
    if answered.context == "popular":
        reason = "the user is not in the release" if asked.user_id else "no item of the session is known"
    elif answered.context == "session" and asked.user_id is not None:
        reason = f"the user is newer than the release; {len(asked.session)} items since stand for the user"
    return Ranked(
        nums=answered.nums,
        scores=answered.scores,
        source=answered.context,
        reason=reason,
        candidates=answered.candidates,
        blocked=answered.dropped,
    )
