"""The state of items now: read, changed, taken back, and the log of who changed what and why."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

from litestar import delete, get, put
from litestar.exceptions import NotFoundException, ValidationException
from litestar.openapi.spec import Example
from litestar.params import JSONBody, Parameter, QueryParameter
from litestar.types import ASGIApp, Scope
from msgspec import UNSET

from recsys_assets.api.http.auth import CALLER_KEY, needs
from recsys_assets.api.http.bodies import Reply, encode
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.openapi import KEY_NEEDED, ItemIdPath, answers, release_headers
from recsys_assets.api.schemas.state_schemas import (
    ItemStates,
    LoggedStateChange,
    OneState,
    StateChanges,
    StateLog,
    StateOfItem,
    StatesChanged,
)
from recsys_assets.api.serving.replica_guard import needs_home
from recsys_assets.api.serving.service import ServiceController, reject_null
from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.errors import ItemStateError
from recsys_assets.intake.item_states import ItemState, StateChange

Why = Annotated[
    str,
    QueryParameter(
        name="why",
        max_length=1000,
        description="Why; kept in the log.",
        examples=[Example(value="back in stock")],
    ),
]
After = Annotated[
    str | None, Parameter(max_length=512, description="The `next` of the page before; items by id after it.")
]
OfItem = Annotated[
    str | None, QueryParameter(name="item_id", max_length=512, description="Changes of this item only.")
]
Before = Annotated[
    int | None, Parameter(ge=1, le=2**53, description="The `next` of the page before; changes before it.")
]
Limit = Annotated[int, Parameter(ge=1, le=1000, description="How many, 1-1000.")]
_LONGEST_ID = 512


class StateController(ServiceController):
    """The state of items now, and its log."""

    tags = ("Item states",)

    @put(
        "/items/{item_id:str}/state",
        summary="Change the state of an item",
        description=(
            "Merged into the state there is: an absent field stays, null takes it back. A hidden item is on no list of "
            "any worker within a second, whatever the release, and so after a restart; where machines share an object "
            "store, of none of theirs within two, and `waiting` says so where that does not answer. An item that the "
            "release does not hold is accepted with `known: false`: the state waits for a release that holds it. Needs "
            "scope `write`."
        ),
        operation_id="putItemState",
        guards=[needs("write"), needs_home("states of items are kept where releases are built")],
        security=KEY_NEEDED,
        responses=answers(OneState, also=(408, 409, 413, 415)),
        response_headers=release_headers(),
    )
    async def change(self, scope: Scope, item_id: ItemIdPath, data: JSONBody[StateChange]) -> ASGIApp:
        serving = self.service.serving()
        wanted = _checked(serving, as_sent(item_id))
        states = await self._put(scope, {wanted: data})
        return self._one(wanted, states[wanted])

    @get(
        "/items/{item_id:str}/state",
        summary="The state of an item",
        description="`state` is null where nobody set anything. Needs scope `read`.",
        operation_id="getItemState",
        sync_to_thread=False,
        guards=[needs("read")],
        security=KEY_NEEDED,
        responses=answers(OneState, also=(404,)),
        response_headers=release_headers(),
    )
    def state(self, item_id: ItemIdPath) -> ASGIApp:
        serving = self.service.serving()
        wanted = _checked(serving, as_sent(item_id))
        found = self.service.live.states.store.snapshot.states.get(wanted)
        if found is None and serving.release.items.num(wanted) is None:
            raise NotFoundException(
                f"item {wanted!r} has no state and is not in release {serving.release_id}"
            )
        return self._one(wanted, found)

    @delete(
        "/items/{item_id:str}/state",
        summary="Take back the state of an item",
        description="The catalogue alone counts again; the same again changes nothing. Needs scope `write`.",
        operation_id="deleteItemState",
        status_code=200,
        guards=[needs("write"), needs_home("states of items are kept where releases are built")],
        security=KEY_NEEDED,
        responses=answers(OneState, also=(409,)),
        response_headers=release_headers(),
    )
    async def take_back(self, scope: Scope, item_id: ItemIdPath, why: Why = "") -> ASGIApp:
        live, now, by = self.service.live, self.service.clock(), scope["state"][CALLER_KEY].name
        wanted = _checked(self.service.serving(), as_sent(item_id))

        def work() -> None:
            live.states.store.take_back([wanted], by=by, why=why, now=now)
            live.states.refresh(live.opened())

        await asyncio.to_thread(work)
        return self._one(wanted, None)

    @put(
        "/item-states",
        summary="Change the states of several items",
        description="Each as for one item; all changes are made, or none, and lists heed them together. Needs scope "
        "`write`.",
        operation_id="putItemStates",
        guards=[needs("write"), needs_home("states of items are kept where releases are built")],
        security=KEY_NEEDED,
        responses=answers(StatesChanged, also=(408, 409, 413, 415)),
        response_headers=release_headers(),
    )
    async def change_many(self, scope: Scope, data: JSONBody[StateChanges]) -> ASGIApp:
        serving = self.service.serving()
        changes: dict[str, StateChange] = {}
        for place, change in enumerate(data.items):
            item_id = _checked(serving, change.item_id)
            if item_id in changes:
                raise ItemStateError(f"items[{place}]: {item_id!r} is in the list twice; give each item once")
            fields = {**change.fields(), "why": change.why or data.why}
            changes[item_id] = StateChange(**fields)
        states = await self._put(scope, changes)
        serving = self.service.serving()
        body = StatesChanged(
            release=serving.release_id,
            version=serving.states.version,
            items=_listed(serving, list(states.items())),
            waiting=self.service.live.states.waiting or UNSET,
        )
        return Reply(encode(body), release=serving.release_header)

    @get(
        "/item-states",
        summary="Items that have a state",
        description="By item id, a page at a time. Needs scope `read`.",
        operation_id="listItemStates",
        guards=[needs("read")],
        security=KEY_NEEDED,
        responses=answers(ItemStates),
        response_headers=release_headers(),
    )
    async def states(self, scope: Scope, after: After = None, limit: Limit = 100) -> ASGIApp:
        serving = self.service.serving()
        snapshot = self.service.live.states.store.snapshot

        def reply() -> Reply:
            ids = sorted(name for name in snapshot.states if after is None or name > after)
            page = [(name, snapshot.states[name]) for name in ids[:limit]]
            body = ItemStates(
                release=serving.release_id,
                version=serving.states.version,
                total=len(snapshot.states),
                items=_listed(serving, page),
                next=page[-1][0] if len(ids) > limit else None,
            )
            return Reply(encode(body), release=serving.release_header)

        return await self.service.slowly(scope, "item states", reply)

    @get(
        "/item-states/log",
        summary="Changes of item states",
        description="The last first: who, when, why, and the state before and after. Needs scope `read`.",
        operation_id="listItemStateChanges",
        guards=[needs("read")],
        security=KEY_NEEDED,
        responses=answers(StateLog),
        response_headers=release_headers(),
    )
    async def log(
        self, scope: Scope, item_id: OfItem = None, before: Before = None, limit: Limit = 100
    ) -> ASGIApp:
        reject_null(scope, "before")
        serving = self.service.serving()
        wanted = None if item_id is None else _checked(serving, item_id)

        def reply() -> Reply:
            found = self.service.live.states.store.log(item_id=wanted, before=before, limit=limit + 1)
            page = [LoggedStateChange.of(change) for change in found[:limit]]
            following = page[-1].seq if len(found) > limit else None
            body = StateLog(release=serving.release_id, changes=page, next=following)
            return Reply(encode(body), release=serving.release_header)

        return await self.service.slowly(scope, "item states", reply)

    async def _put(self, scope: Scope, changes: Mapping[str, StateChange]) -> Mapping[str, ItemState | None]:
        """Store changes and put them in force here, beside the event loop."""
        live, now, by = self.service.live, self.service.clock(), scope["state"][CALLER_KEY].name

        def work() -> Mapping[str, ItemState | None]:
            states = live.states.store.put(changes, by=by, now=now)
            live.states.refresh(live.opened())
            return states

        return await asyncio.to_thread(work)

    def _one(self, item_id: str, state: ItemState | None) -> Reply:
        serving = self.service.serving()
        body = OneState(
            release=serving.release_id,
            version=serving.states.version,
            item_id=item_id,
            known=item_id in serving.release.items,
            state=state,
            waiting=self.service.live.states.waiting or UNSET,
        )
        return Reply(encode(body), release=serving.release_header)


def _listed(serving: Serving, states: Sequence[tuple[str, ItemState | None]]) -> list[StateOfItem]:
    items = serving.release.items
    return [StateOfItem(item_id=name, known=name in items, state=state) for name, state in states]


def _checked(serving: Serving, item_id: str) -> str:
    """Return the id of an item as the release writes it; one that it does not hold as it is.

    Raises:
        ValidationException: no item can have such an id.
    """
    num = serving.release.items.num_of(item_id)
    if num is not None:
        return serving.release.items[num]
    if len(item_id) > _LONGEST_ID or item_id.encode("utf-8", "replace").decode() != item_id:
        message = f"Expected the id of an item, at most {_LONGEST_ID} characters of UTF-8"
        raise ValidationException(message, extra=[{"message": message, "key": "item_id", "source": "path"}])
    return item_id
