"""One release, ready to answer, with the events since it; a request takes it once and keeps it."""

from collections.abc import Sequence

from recsys_assets.api.http.bodies import Headers, ItemJson
from recsys_assets.errors import UnknownItemError
from recsys_assets.intake.event_meaning import EventMeaning
from recsys_assets.release.learnt_events import events_since
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.rules_file import FollowedRules
from recsys_assets.storage.home import Home


class Serving:
    """One release, ready to answer, and the events since it."""

    def __init__(self, release: Release, home: Home, meaning: EventMeaning | None = None) -> None:
        """Open nothing yet; `meaning` is that of the events' kinds, by default that of the default settings."""
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

    def items_since(self, user_id: str) -> Sequence[int]:
        """Return the numbers of a user's wishes since the release, the latest first, each once."""
        return self.recent.since(user_id).wishes

    def hidden_since(self, user_id: str) -> Sequence[int]:
        """Return the numbers of the items that a user's events since the release only hide."""
        since = self.recent.since(user_id)
        return (*since.hidden, *since.late) if since.late else since.hidden

    def left_out(self, user_id: str, item_ids: Sequence[str] | None) -> Sequence[int]:
        """Return the numbers of items never to return to a user: those that the request names, and hidden ones."""
        hidden = self.hidden_since(user_id)
        if not item_ids:
            return hidden
        return (*self.item_nums(item_ids), *hidden)

    def items_of(self, request: Request) -> list[int]:
        """Return the numbers of all items that a user has, most recent first; empty for a stranger."""
        num = request.user_num
        earlier = [] if num is None else self.release.history(num).tolist()
        return list(dict.fromkeys([*request.session, *earlier]))

    def covered(self) -> float:
        """Return the share of the catalogue recommended at least once since the release was loaded, 0-1."""
        return self.served.count(1) / max(1, len(self.served))
