"""JSON bodies of forgetting users. The docstring and the descriptions of a struct are in the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct


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
