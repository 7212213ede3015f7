"""The parts of each artifact's fingerprint by name, so that a change can be named; recorded beside the artifact."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from recsys_assets.lake.source_days import SourceDays, meaning_of
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs
from recsys_assets.rules.rules_file import rules_fingerprint

ASSETS: Final[Mapping[str, Sequence[str]]] = {
    "choice": ["model_choice"],
    "embeddings": ["user_embeddings", "item_embeddings"],
    "evaluation": ["evaluation"],
    "features": ["user_features", "item_features"],
    "index": ["item_index"],
    "release": ["release"],
}
"""Artifact -> the assets in it, in the order in which they are built."""
CODE: Final = "code"
"""Part: the version of the asset's code."""
DAYS: Final = "days"
"""Part: day -> checksum of its cleaned rows."""
CATALOGUE: Final = "item_catalogue"
"""Part: checksum of the item catalogue."""
RULES: Final = "rules"
"""Part: checksum of the rules file."""
MAPPING: Final = "mapping"
"""Part: the source's spec, columns and reading."""
SOURCE: Final = "source"
"""Part: the source's files."""
_ASSETS_OF: Final = {"catalogue": "item_catalogue", "choice": "model_choice", "index": "item_index"}
_IN_RELEASE: Final = ("choice", "embeddings", "evaluation", "features", "index")


def parts_of(inputs: Inputs, artifact: str) -> dict[str, Any]:
    """Return all that the fingerprint of an artifact covers, by name; a section of the settings by its fields.

    Args:
        inputs: the inputs now.
        artifact: `catalogue`, a key of `ASSETS`, or `exported_lists`.
    """
    settings = inputs.settings
    made: dict[str, Any] = {CODE: CODE_VERSIONS[_ASSETS_OF.get(artifact, artifact)]}
    if artifact == "catalogue":
        counted = inputs.source_days or SourceDays()
        made |= {MAPPING: meaning_of(settings.source), SOURCE: counted.content or counted.fingerprint}
    elif artifact == "choice":
        made |= _of_days(inputs)
        made["[interactions]"] = {"seen": settings.interactions.seen}
        made["[training]"] = msgspec.to_builtins(settings.training)
    elif artifact == "features":
        made |= _of_days(inputs)
    elif artifact == "index":
        made |= {"embeddings": inputs.embeddings, "[index]": msgspec.to_builtins(settings.index)}
    elif artifact == "release":
        made |= {part: inputs.of_artifact(part) for part in _IN_RELEASE}
        made[RULES] = rules_fingerprint(inputs.home)
    elif artifact == "exported_lists":
        made |= {"release": inputs.release, "[export]": msgspec.to_builtins(settings.export)}
    else:
        made["choice"] = inputs.choice
    return made


def parts_of_report(inputs: Inputs, day: date) -> dict[str, Any]:
    """Return all that the fingerprint of a day's increment report covers, by name."""
    content = inputs.interaction_files[day].content
    return {CODE: CODE_VERSIONS["increment_report"], DAYS: {str(day): content}}


def _of_days(inputs: Inputs) -> dict[str, Any]:
    return {
        DAYS: {str(day): content for day, content in inputs.landed.items()},
        CATALOGUE: inputs.catalogue_checksum,
    }
