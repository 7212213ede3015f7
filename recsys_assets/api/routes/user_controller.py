"""Users: the history of one, and search by the beginning of an id."""

from datetime import timedelta
from functools import partial
from typing import Annotated

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter, QueryParameter
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import PRIVATE, Reply, encode
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.openapi import K, UserIdPath, answers, release_headers
from recsys_assets.api.schemas.recommendation_schemas import HistoryItem, UserHistory
from recsys_assets.api.schemas.user_schemas import UserSearch
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.storage.arrays import EPOCH
from recsys_assets.storage.string_table import Vocabulary

Beginning = Annotated[
    str, QueryParameter(name="q", max_length=512, description="How the user's id begins; empty: any.")
]
Limit = Annotated[int, Parameter(ge=1, le=100, description="How many users, 1-100.")]


class UserController(ServiceController):
    """A user's history, and search by the beginning of an id."""

    path = "/users"
    tags = ("Users",)

    @get(
        "/{user_id:str}/history",
        summary="What a user has",
        description="Most recent first; events since the release come before those in it.",
        operation_id="listUserHistory",
        responses=answers(UserHistory, also=(404,), cached=True),
        response_headers=release_headers(),
    )
    async def history(self, scope: Scope, user_id: UserIdPath, k: K = 50) -> ASGIApp:
        return await self.service.slowly(scope, "histories", partial(self._history, as_sent(user_id), k))

    def _history(self, user_id: str, k: int) -> Reply:
        serving = self.service.serving()
        release = serving.release
        person = serving.person(user_id)
        user_num = release.users.num_of(person)
        events = self.service.live.events_since(serving, person)
        since = events.wishes
        if user_num is None and not since:
            raise NotFoundException(f"user {user_id!r} is not in release {serving.release_id}")
        rows = [_item(serving, num, None) for num in since[:k]]
        total = len(since)
        if user_num is not None:
            start, stop = release.history_indptr[user_num], release.history_indptr[user_num + 1]
            known = set(since)
            nums, days = release.history_items[start:stop].tolist(), release.history_days[start:stop].tolist()
            earlier = [(num, day) for num, day in zip(nums, days, strict=True) if num not in known]
            total += len(earlier)
            rows += [_item(serving, num, day) for num, day in earlier[: k - len(rows)]]
        body = encode(UserHistory(release=serving.release_id, user_id=user_id, total=total, items=rows))
        return Reply(
            body, release=serving.release_header, etag=f"{serving.release_id}-{events.mark}", cache=PRIVATE
        )

    @get(
        summary="Find users by how their id begins",
        operation_id="searchUsers",
        sync_to_thread=False,
        responses=answers(UserSearch, cached=True),
        response_headers=release_headers(),
    )
    def search(self, beginning: Beginning = "", limit: Limit = 20) -> ASGIApp:
        serving = self.service.serving()
        users = serving.release.users
        found = users_beginning(users, beginning, limit)
        body = encode(UserSearch(release=serving.release_id, total=len(users), user_ids=found))
        return Reply(body, release=serving.release_header, etag=serving.release_id, cache=PRIVATE)


def users_beginning(users: Vocabulary, beginning: str, limit: int) -> list[str]:
    """Return the first `limit` ids that begin so; a binary search, since a vocabulary is sorted by UTF-8 bytes."""
    wanted = beginning.encode("utf-8", "surrogatepass")
    low, high = 0, len(users)
    while low < high:
        middle = (low + high) // 2
        if users[middle].encode() < wanted:
            low = middle + 1
        else:
            high = middle
    found: list[str] = []
    for num in range(low, len(users)):
        user_id = users[num]
        if len(found) == limit or not user_id.startswith(beginning):
            break
        if user_id not in users.hidden:
            found.append(user_id)
    return found


def _item(serving: Serving, num: int, day: int | None) -> HistoryItem:
    release = serving.release
    return HistoryItem(
        item_id=release.items[num],
        title=release.titles[num] or None,
        category=release.categories[num] or None,
        last_day=None if day is None else (EPOCH + timedelta(days=day)).isoformat(),
    )
