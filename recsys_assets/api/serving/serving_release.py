"""One release, ready to answer: its rules, the events since it, the item states in force, and its items as JSON."""

from collections.abc import Sequence

from recsys_assets.api.http.bodies import Headers, ItemJson
from recsys_assets.api.serving.merged_items import mark_with, with_hidden_of, with_items_of
from recsys_assets.errors import UnknownItemError
from recsys_assets.intake.event_meaning import EventMeaning
from recsys_assets.intake.merged_users import MergedUsers
from recsys_assets.intake.recent_events import Since
from recsys_assets.release.bound_states import BoundStates
from recsys_assets.release.learnt_events import events_since
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.rules_file import FollowedRules
from recsys_assets.storage.home import Home


class Serving:
    """One release, ready to answer, and the events since it."""

    def __init__(
        self,
        release: Release,
        home: Home,
        meaning: EventMeaning | None = None,
        merged: MergedUsers | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            release: the release.
            home: where its rules and the events are.
            meaning: that of the events' kinds, by default that of the default settings.
            merged: users who are one; nobody by default.
        """
        self.merged = merged or MergedUsers(home.events_db)
        self.release = release
        self.plain = PlainScenario(release)
        self.rules = FollowedRules(self.plain, home)
        self.release_id = release.release_id
        self.release_header: Headers = ((b"x-release-id", self.release_id.encode()),)
        """Headers of every answer from it: its id, and a recall that consumers have to know of."""
        self.items = ItemJson(release.items, release.titles, release.categories)
        self.served = bytearray(len(release.items))
        """1 for every item recommended since the release was loaded, by item number."""
        self.recent = events_since(release, home.events_db, meaning or EventMeaning())
        """The events since the release."""

    @property
    def states(self) -> BoundStates:
        """The item states in force; their version is part of every entity tag."""
        return self.plain.lookups.states

    def item_num(self, item_id: str) -> int:
        """Return an item's number.

        Raises:
            UnknownItemError: the release does not hold the item.
        """
        num = self.release.items.num_of(item_id)
        if num is None:
            raise UnknownItemError(f"item {item_id!r} is not in release {self.release_id}")
        return num

    def item_nums(self, item_ids: Sequence[str] | None) -> Sequence[int]:
        """Return the numbers of the items that the release holds, each once; other ids are ignored."""
        return self.known_items(item_ids)[0] if item_ids else ()

    def known_items(self, item_ids: Sequence[str]) -> tuple[list[int], list[str]]:
        """Return the numbers of the items that the release holds, each once, and the ids that it does not hold."""
        known: dict[int, None] = {}
        unknown = []
        num_of = self.release.items.num_of
        for item_id in item_ids:
            num = num_of(item_id)
            if num is None:
                unknown.append(item_id)
            else:
                known[num] = None
        return list(known), unknown

    def person(self, user_id: str) -> str:
        """Return the user whom an id means: in the form that events are stored under, and through all merges."""
        return self.merged.of(self.release.users.form_of(user_id) or user_id)

    def since(self, user_id: str) -> Since:
        """Return the items of a user's events since the release, with those of the users merged into it.

        Late wishes are among the hidden items. The mark is another one after each event and each merge. A user who is
        being forgotten has no items.
        """
        own, others = self._own_since(user_id), self.merged.merged_into(user_id)
        if user_id in self.release.users.hidden:
            return Since(self._mark(own, others), (), (), ())
        if not others:
            return own
        return Since(
            self._mark(own, others),
            with_items_of(others, own.wishes, lambda user: self._own_since(user).wishes, self.release),
            with_hidden_of(others, own.hidden, lambda user: self._own_since(user).hidden, self.release),
            (),
        )

    def _own_since(self, user_id: str) -> Since:
        found = self.recent.since(user_id)
        return found._replace(hidden=(*found.hidden, *found.late), late=()) if found.late else found

    def _mark(self, own: Since, others: Sequence[str]) -> int:
        return mark_with(others, own.mark, lambda user: self.recent.since(user).mark)

    def left_out(self, since: Since, item_ids: Sequence[str] | None) -> Sequence[int]:
        """Return the numbers of items never to return to a user: those that the request names, and hidden ones."""
        return (*self.item_nums(item_ids), *since.hidden) if item_ids else since.hidden

    def items_of(self, request: Request) -> list[int]:
        """Return the numbers of all items that a user has, most recent first; empty for a stranger."""
        num = request.user_num
        earlier = [] if num is None else self.release.history(num).tolist()
        return list(dict.fromkeys([*request.session, *earlier]))

    def covered(self) -> float:
        """Return the share of the catalogue recommended at least once since the release was loaded, 0-1."""
        return self.served.count(1) / max(1, len(self.served))
