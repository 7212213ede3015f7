"""The section `graph`: assets, checks, jobs and the rest, as Dagster sees `recsys_assets.definitions`."""

import json
from typing import Any, Final

from recsys_assets_tests.identity.normalise import json_value
from recsys_assets_tests.identity.running import Product

_SCRIPT: Final = """
import json, sys
from recsys_assets.definitions import defs

graph = defs.resolve_asset_graph()
repository = defs.get_repository_def()

def plain(value):
    return None if value is None else repr(value)

assets = {}
for spec in defs.resolve_all_asset_specs():
    node = graph.get(spec.key)
    assets[spec.key.to_user_string()] = {
        "group": spec.group_name, "description": spec.description, "owners": list(spec.owners),
        "tags": dict(spec.tags), "kinds": sorted(spec.kinds), "code_version": spec.code_version,
        "metadata": {name: plain(value) for name, value in spec.metadata.items()},
        "deps": sorted(key.to_user_string() for key in node.parent_keys),
        "partitions": plain(spec.partitions_def), "automation": plain(spec.automation_condition),
        "backfill": plain(node.backfill_policy), "freshness": plain(spec.freshness_policy),
        "external": node.is_external, "executable": node.is_executable,
    }
checks = {}
for key in graph.asset_check_keys:
    node = graph.get(key)
    checks[key.to_user_string()] = {
        "description": node.description, "blocking": node.blocking,
        "metadata": {name: plain(value) for name, value in node.metadata.items()},
    }
jobs = {
    job.name: {"description": job.description, "tags": dict(job.tags), "executor": job.executor_def.name,
               "nodes": sorted(node.name for node in job.nodes)}
    for job in repository.get_all_jobs()
}
schedules = {one.name: [one.cron_schedule, one.execution_timezone, one.description, one.job_name]
             for one in repository.schedule_defs}
sensors = {one.name: [one.minimum_interval_seconds, one.description, one.job_name]
           for one in repository.sensor_defs}
resources = {name: type(one).__name__ for name, one in (defs.resources or {}).items()}
json.dump({"assets": assets, "checks": checks, "jobs": jobs, "schedules": schedules, "sensors": sensors,
           "resources": resources}, sys.stdout)
"""


def transcript(product: Product) -> dict[str, Any]:
    """Everything that the code location of a home names; the home has settings and nothing else."""
    home = product.scratch / "graph-home"
    product.recsys("init", "--home", str(home), "--days", "60")
    done = product.python("-c", _SCRIPT, more={"RECSYS_HOME": str(home)})
    if done.code != 0:
        return {"failed": done.as_json()}
    found: dict[str, Any] = json_value(json.loads(done.out), product.places)
    return found
