"""JSON bodies about features and about what is found by words, as msgspec structs."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from recsys_assets.api.schemas import Item, ReleaseId


class FeatureRow(Struct, frozen=True, kw_only=True):
    """The features of one user or item."""

    release: ReleaseId
    id: str
    features: Annotated[dict[str, Any], Meta(description="Feature name -> value.")]


class FeatureRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Features of many users or items at once."""

    entity: Literal["user", "item"]
    ids: Annotated[list[Annotated[str, Meta(max_length=512)]], Meta(min_length=1, max_length=500)]
    names: Annotated[list[str], Meta(description="Features wanted; all where empty.", max_length=100)] = []


class FeatureBatch(Struct, frozen=True, kw_only=True):
    """The answer to a `FeatureRequest`, in the order asked for."""

    release: ReleaseId
    rows: Annotated[list[dict[str, Any] | None], Meta(description="One an id; null where the id is unknown.")]


class FeatureRegistry(Struct, frozen=True, kw_only=True):
    """Every feature: name, type, unit, meaning, owner, source asset, freshness, version."""

    release: ReleaseId
    features: list[dict[str, Any]]


class ItemSearch(Struct, frozen=True, kw_only=True):
    """Items whose title matches."""

    release: ReleaseId
    items: list[Item]


class UserSearch(Struct, frozen=True, kw_only=True):
    """Users whose id starts with the words asked for."""

    release: ReleaseId
    total: Annotated[int, Meta(description="Users in the release.", ge=0)]
    user_ids: list[str]


class Categories(Struct, frozen=True, kw_only=True):
    """The categories of the release, largest first."""

    release: ReleaseId
    categories: Annotated[dict[str, int], Meta(description="Category -> how many items.")]
