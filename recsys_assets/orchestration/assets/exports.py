"""The lists of many users where they are used; there only where `[export]` in recsys.toml names a target."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from recsys_assets.orchestration.checks.exports import EXPORT_CHECKS, answers_on
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs
from recsys_assets.orchestration.jobs import export_schedule
from recsys_assets.orchestration.metadata import OWNER
from recsys_assets.orchestration.recalled_days import RECALLED_DAYS
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Artifacts, Lake, StageProgress
from recsys_assets.settings import ExportSettings
from recsys_assets.storage.atomic import replace_file


@dg.asset(
    deps=["release", RECALLED_DAYS],
    group_name="release",
    owners=[OWNER],
    kinds={"file"},
    code_version=CODE_VERSIONS["exported_lists"],
    description="One item of one user's list, as the API answers for the current release, rules and scenario; written "
    "where `[export]` says, whole or the lists that changed.",
    check_specs=EXPORT_CHECKS,
)
def exported_lists(
    lake: Lake, artifacts: Artifacts, progress: dg.ResourceParam[StageProgress]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Make the lists and write them."""
    from recsys_assets.exports.export_lists import configured_request, export_lists  # noqa: PLC0415  rarely needed

    settings, marker = lake.settings(), artifacts.folder("exported_lists")
    request = configured_request(lake.home, settings.export, command="the asset exported_lists")
    with making(marker, inputs=Inputs(lake.home, settings).exported_lists):
        outcome = export_lists(
            lake.home, request, progress=lambda _, done, total: progress.report("exported_lists", done, total)
        )
        replace_file(marker, f"{outcome.manifest.export_id}\n".encode())
    found = outcome.manifest
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": found.rows,
            "rows": found.rows,
            "users": found.users,
            "changed_users": found.changed,
            "users_gone": found.gone,
            "unknown_users": found.unknown,
            "empty_lists": found.empty,
            "release_id": found.release,
            "rules": found.rules,
            "scenario": found.scenario or "none",
            "written": outcome.written,
            "target": found.target,
        },
        check_results=answers_on(found),
    )


def export_definitions(settings: ExportSettings) -> dg.Definitions:
    """Return the asset, its job and its schedule; nothing where the settings name no target."""
    if settings.to is None:
        return dg.Definitions()
    return dg.Definitions.merge(dg.Definitions(assets=[exported_lists]), export_schedule(settings))
