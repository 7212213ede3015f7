"""Days and artifacts that are whole and fresh, recorded in Dagster where its history does not have them.

It was lost, or another machine made them, whose Dagster has its own.
"""

from collections.abc import Iterator
from functools import cache

from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.planning.artifact_parts import ASSETS
from recsys_assets.orchestration.repair.made_artifacts import written_inputs
from recsys_assets.settings import Settings
from recsys_assets.storage.day_folders import day_folder, days_under
from recsys_assets.storage.home import Home


def record_made(home: Home, settings: Settings, *, why: str) -> int:
    """Have Dagster record each of them that it does not know, as if it were made now; return their number.

    Args:
        home: the home, whose lock the caller holds.
        settings: its settings.
        why: in a few words, for people who look at the history.

    Raises:
        SettingsError: Dagster's storage cannot be opened.
    """
    import dagster as dg  # noqa: PLC0415  a second, which `recsys doctor` need not wait
    from dagster._core.events import DagsterEventBatchMetadata, StepMaterializationData  # noqa: PLC0415
    from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID  # noqa: PLC0415

    from recsys_assets.orchestration.event_log import let_dagster_send_batches  # noqa: PLC0415
    from recsys_assets.orchestration.instance import open_instance  # noqa: PLC0415

    let_dagster_send_batches()
    with open_instance(home) as instance:

        @cache
        def days(asset: str) -> set[str]:
            return instance.get_materialized_partitions(dg.AssetKey(asset))

        def is_known(asset: str, day: str | None) -> bool:
            if day is not None:
                return day in days(asset)
            return instance.get_latest_materialization_event(dg.AssetKey(asset)) is not None

        unknown = [one for one in _whole(Inputs(home, settings)) if not is_known(*one)]
        for number, (asset, day) in enumerate(unknown, start=1):
            made = dg.AssetMaterialization(asset, partition=day, metadata={"recorded": why})
            event = dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                event_specific_data=StepMaterializationData(made),
                job_name=RUNLESS_JOB_NAME,
            )
            batch = DagsterEventBatchMetadata(id=why, is_end=number == len(unknown))
            instance.report_dagster_event(event, run_id=RUNLESS_RUN_ID, batch_metadata=batch)
    return len(unknown)


def _whole(inputs: Inputs) -> Iterator[tuple[str, str | None]]:
    """Yield each asset whose artifact is whole and fresh, and each asset and day."""
    home = inputs.home
    artifacts = {
        name: (home.artifact(name), assets, inputs.of_artifact(name)) for name, assets in ASSETS.items()
    }
    artifacts["catalogue"] = (home.catalogue, ["item_catalogue"], inputs.item_catalogue)
    for artifact, assets, wanted in artifacts.values():
        if written_inputs(artifact) == wanted:
            yield from ((asset, None) for asset in assets)
    for day, file in inputs.raw_store.files().items():
        if inputs.is_landed(file):
            yield "raw_interactions", day.isoformat()
    for day, file in inputs.interaction_store.files().items():
        if file.provenance.get(INPUTS_KEY) == inputs.interactions(day):
            yield "interactions", day.isoformat()
    for day in days_under(home.reports):
        if written_inputs(day_folder(home.reports, day)) == inputs.increment_report(day):
            yield "increment_report", day.isoformat()
