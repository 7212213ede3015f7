"""Items: similar ones, search by words, and categories."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from litestar import get
from litestar.params import Parameter, QueryParameter
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import Reply, encode, quoted
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.http.known_queries import KnownQueries, repeat
from recsys_assets.api.openapi import After, Category, Exclude, ItemIdPath, K, answers, release_headers
from recsys_assets.api.schemas.operation_schemas import Categories, ItemSearch
from recsys_assets.api.schemas.recommendation_schemas import SimilarItems
from recsys_assets.api.serving.answers import takes_long
from recsys_assets.api.serving.paging import page_of
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.release.answer_counts import SIMILAR
from recsys_assets.rules.engine.requests import Request

Words = Annotated[
    str,
    QueryParameter(
        name="q",
        max_length=200,
        description="Words of the title, brand or category; the last may be a beginning.",
    ),
]
Limit = Annotated[int, Parameter(ge=1, le=100, description="How many items, 1-100.")]


class ItemController(ServiceController):
    """Similar items, search by words, and categories."""

    tags = ("Items",)

    @get(
        "/items/{item_id:str}/similar",
        summary="Similar items",
        description="Items that the same users want, nearest first.",
        operation_id="listSimilarItems",
        responses=answers(SimilarItems, also=(404,), cached=True),
        response_headers=release_headers(),
        middleware=[KnownQueries],
    )
    async def similar(  # noqa: PLR0917  query parameters, which come by name
        self,
        scope: Scope,
        item_id: ItemIdPath,  # noqa: ARG002  taken from the scope, where a known query has it too
        k: K = 10,
        exclude: Exclude = None,
        category: Category = None,
        after: After = None,
    ) -> ASGIApp:
        answering = partial(self._similar, k, exclude, category, after)
        if after is None and exclude is None:
            repeat(scope, answering)
        return await answering(scope)

    async def _similar(
        self, k: int, exclude: Sequence[str] | None, category: str | None, after: str | None, scope: Scope
    ) -> ASGIApp:
        item_id = as_sent(scope["path_params"]["item_id"])
        serving = self.service.serving()
        num = serving.item_num(item_id)
        etag = f"{serving.release_id}-{serving.states.version}"
        page = page_of(serving, after, SIMILAR, item_id, category)
        request = page.with_given(Request(k=k, exclude=serving.item_nums(exclude), category=category))

        def reply(may_block: bool) -> Reply:  # noqa: FBT001  the only argument
            answer = page.rest(serving.plain.similar(num, request, may_block=may_block), k)
            answer_id = self.service.give(serving, answer, SIMILAR)
            items = serving.items.scored(answer.nums, answer.scores)
            following = page.next_json(serving, answer.nums, k)
            body = (
                f'{{"release":"{serving.release_id}","id":"{answer_id}","next":{following},'
                f'"item_id":{quoted(item_id)},"items":{items}}}'
            )
            return Reply(
                body.encode(),
                release=serving.release_header,
                etag=etag,
                weak=True,
                cache=self.service.public,
                source=answer.source,
            )

        return await self.service.list_reply(scope, reply, long=takes_long(request))

    @get(
        "/items",
        summary="Search items by name",
        description="Items that lists leave out are found too, with their state.",
        operation_id="searchItems",
        responses=answers(ItemSearch, cached=True),
        response_headers=release_headers(),
    )
    async def search(self, scope: Scope, words: Words, limit: Limit = 20) -> ASGIApp:
        serving = self.service.serving()
        states = serving.states

        def reply() -> Reply:
            release = serving.release
            rows = release.features.search(words, limit)
            nums = [num for num in (release.items.num(row["item_id"]) for row in rows) if num is not None]
            found = ",".join(
                f'{serving.items.open(num)},"state":{quoted(states.word(num))}}}' for num in nums
            )
            body = f'{{"release":"{serving.release_id}","items":[{found}]}}'
            return Reply(
                body.encode(),
                release=serving.release_header,
                etag=f"{serving.release_id}-{states.version}",
                cache=self.service.public,
            )

        return await self.service.slowly(scope, "search", reply)

    @get(
        "/categories",
        summary="Categories",
        operation_id="listCategories",
        responses=answers(Categories, cached=True),
        response_headers=release_headers(),
    )
    async def categories(self, scope: Scope) -> ASGIApp:
        serving = self.service.serving()
        etag = f"{serving.release_id}-{serving.states.version}"

        def reply() -> Reply:
            found = serving.plain.lookups.categories()
            return Reply(
                encode(Categories(release=serving.release_id, categories=found)),
                release=serving.release_header,
                etag=etag,
                cache=self.service.public,
            )

        return await self.service.slowly(scope, "categories", reply)
