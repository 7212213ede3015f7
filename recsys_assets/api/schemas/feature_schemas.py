"""JSON bodies of features: of one user or item, of many at once, and their registry.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import ReleaseId


class FeatureRow(Struct, frozen=True, kw_only=True):
    """The features of one user or item."""

    release: ReleaseId
    id: str
    features: Annotated[dict[str, Any], Meta(description="Feature name -> value.")]


class FeatureRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Features of many users or items at once."""

    entity: Literal["user", "item"]
    ids: Annotated[list[Annotated[str, Meta(max_length=512)]], Meta(min_length=1, max_length=500)]
    names: Annotated[
        list[str], Meta(description="Names of the features to return; all where empty.", max_length=100)
    ] = []


class FeatureBatch(Struct, frozen=True, kw_only=True):
    """The answer to a `FeatureRequest`, in the order of its ids."""

    release: ReleaseId
    rows: Annotated[
        list[dict[str, Any] | None], Meta(description="A row for each id; null where the id is unknown.")
    ]


class FeatureRegistry(Struct, frozen=True, kw_only=True):
    """Every feature: name, type, unit, meaning, owner, source asset, freshness, version."""

    release: ReleaseId
    features: list[dict[str, Any]]
