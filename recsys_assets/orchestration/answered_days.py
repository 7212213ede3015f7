"""The status of a check on each day, where one answer covers the days of a run.

Dagster shows a check's day only where it has a row of its own; a row for each of thousands of days and checks would
be most of the event log. Here a day whose last run answered the check for all of its days has that answer, unless
it has one of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import sqlalchemy as db
from dagster import AssetCheckKey, AssetKey, DagsterEventType, PartitionsDefinition
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.partitions.subset import PartitionsSubset
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
    AssetCheckPartitionInfo,
)
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._record import replace

_RESOLVED: Final = {
    AssetCheckExecutionRecordStatus.SUCCEEDED: AssetCheckExecutionResolvedStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED: AssetCheckExecutionResolvedStatus.FAILED,
}


class AnsweredDays(SqlEventLogStorage):
    """An event log that knows which days a run's answer covers."""

    def get_asset_check_state(
        self, keys: Sequence[tuple[AssetCheckKey, PartitionsDefinition | None]]
    ) -> Mapping[AssetCheckKey, AssetCheckState]:
        """Return each check's days by status: those of the stock log, and those that a run's answer covers."""
        states = dict(super().get_asset_check_state(keys))
        last = {asset: self._last_runs(asset) for asset in {key.asset_key for key, days in keys if days}}
        covered: dict[tuple[AssetKey, frozenset[str]], PartitionsSubset] = {}  # most checks have the same
        for key, partitions in keys:
            if partitions is None:
                continue
            of_asset = last[key.asset_key]
            runs = frozenset(self._runs_that_answered(key) & {run_id for _, run_id in of_asset.values()})
            if (key.asset_key, runs) not in covered:
                known = set(partitions.get_partition_keys())
                days = [day for day, (_, run_id) in of_asset.items() if run_id in runs and day in known]
                covered[key.asset_key, runs] = partitions.subset_with_partition_keys(days)
            states[key] = self._with_answers(
                key, partitions, states[key], of_asset, covered[key.asset_key, runs]
            )
        return states

    def _with_answers(
        self,
        key: AssetCheckKey,
        partitions: PartitionsDefinition,
        state: AssetCheckState,
        last: Mapping[str, tuple[int, str]],
        covered: PartitionsSubset,
    ) -> AssetCheckState:
        """Return the state with the days that a run's answer covers, but for those with an answer of their own."""
        own = {
            info.partition_key: info.latest_execution_status
            for info in self.get_asset_check_partition_info([key])
            if info.partition_key is not None
            and _is_of_last_run(info, last.get(info.partition_key))
            and partitions.has_partition_key(info.partition_key)
        }

        def subset_of(days: Iterable[str]) -> SerializableEntitySubset[AssetCheckKey]:
            return SerializableEntitySubset(key=key, value=partitions.subset_with_partition_keys(list(days)))

        by_run = SerializableEntitySubset(key=key, value=covered).compute_difference(subset_of(own))
        subsets = dict(state.subsets)
        for status, resolved in _RESOLVED.items():
            subsets[resolved] = subset_of(day for day, found in own.items() if found == status)
        succeeded = AssetCheckExecutionResolvedStatus.SUCCEEDED
        subsets[succeeded] = subsets[succeeded].compute_union(by_run)
        return replace(state, subsets=subsets)

    def _last_runs(self, asset: AssetKey) -> dict[str, tuple[int, str]]:
        """Return day -> number and run of its last materialisation."""
        events = SqlEventLogStorageTable.c
        newest = (
            db.select(db.func.max(events.id))
            .where(
                events.asset_key == asset.to_string(),
                events.partition.is_not(None),
                events.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION.value,
            )
            .group_by(events.partition)
        )
        query = db.select(events.partition, events.id, events.run_id).where(events.id.in_(newest))
        with self.index_connection() as connection:
            return {day: (number, run_id) for day, number, run_id in connection.execute(query)}

    def _runs_that_answered(self, key: AssetCheckKey) -> set[str]:
        """Return the runs that answered the check once for all of their days."""
        executions = AssetCheckExecutionsTable.c
        query = db.select(executions.run_id).where(
            executions.asset_key == key.asset_key.to_string(),
            executions.check_name == key.name,
            executions.partition.is_(None),
            executions.execution_status != AssetCheckExecutionRecordStatus.PLANNED.value,
        )
        with self.index_connection() as connection:
            return set(connection.execute(query).scalars())


def _is_of_last_run(info: AssetCheckPartitionInfo, last: tuple[int, str] | None) -> bool:
    """Return True unless the day was materialised by another run after this answer."""
    if last is None:
        return True
    number, run_id = last
    return run_id == info.latest_planned_run_id or info.latest_check_event_storage_id > number
