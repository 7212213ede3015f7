"""JSON bodies of users: their search, merges of two ids of one person, and forgetting one.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import ReleaseId, UserId


class UserMerge(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"from_user": "from", "to_user": "to"},
):
    """Two ids of one person: an anonymous one, and the account that it logged in to."""

    from_user: Annotated[
        UserId, Meta(description="The id that means another user from now on.", examples=["anon-7"])
    ]
    to_user: Annotated[UserId, Meta(description="The user whom it means.", examples=["1"])]


class UserMerged(Struct, frozen=True, kw_only=True):
    """The user whom an id means now."""

    user_id: Annotated[
        str, Meta(description="The user whom both ids mean, through every merge.", examples=["1"])
    ]
    new: Annotated[bool, Meta(description="False where this merge was stored before.")]


class UserSearch(Struct, frozen=True, kw_only=True):
    """Users with an id that begins with the given text."""

    release: ReleaseId
    total: Annotated[int, Meta(description="Users in the release.", ge=0)]
    user_ids: list[str]


class ForgetState(Struct, frozen=True, kw_only=True):
    """The state of one forget; it names no user."""

    forget: Annotated[int, Meta(ge=1, description="Its number, under which `/v1/forgets` has it.")]
    state: Annotated[
        Literal["waiting", "done"],
        Meta(
            description="`waiting`: the user is hidden on every answer, and the rows are still on the disk; `done`: a "
            "scan of the whole home has found nothing."
        ),
    ]
    requested_at: Annotated[datetime, Meta(description="UTC.")]
    finished_at: Annotated[datetime | None, Meta(description="UTC; null while it waits.")] = None
    files_read: Annotated[
        int | None, Meta(description="Files that the scan at the end read; null while it waits.")
    ] = None
