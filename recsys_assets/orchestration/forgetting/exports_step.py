"""Forget users in the lists that we exported: files, tables of databases, keys of Redis, and what is kept of each.

Copies that somebody made of an export, and backups of a server, are beyond reach; the result says so.
"""

from typing import Final

from recsys_assets.errors import ExportError, InputError
from recsys_assets.exports.export_state import ExportState, KnownExport, exports_of
from recsys_assets.exports.export_target import ExportTarget
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home

_COMMAND: Final = "forget"


def forget_in_exports(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Delete the users' lists at every target that this home exported to; a target out of reach leaves it unfinished.

    The target's own state loses the users last, so that a run that was cut short tries the target again.
    """
    from recsys_assets.exports.export_lists import open_target  # noqa: PLC0415  pyarrow, pandas

    configured, changed, targets, left = _configured(home), 0, 0, []
    for known in exports_of(home):
        state = ExportState(home, known.target)
        try:
            with state.locked():
                target = configured.get(known.target) or open_target(known.target)
                found = target.forget(sorted(ids))
                found += state.forget(ids)
        except (ExportError, InputError) as error:
            left.append(f"{error}; reach it and run `recsys forget` again, or remove {_folder(home, known)}")
            continue
        changed, targets = changed + found, targets + bool(found)
    done = f"{changed:,} rows at {targets:,} targets (forget #{number}); copies that others made are not ours"
    detail = done if changed else ""
    return StepResult(step="exports", detail=detail, changed=changed, unfinished="; ".join(left))


def _configured(home: Home) -> dict[str, ExportTarget]:
    """Return the target of `[export] to`, which alone has its password, by its address without one."""
    from recsys_assets.exports.export_lists import configured_request, open_target  # noqa: PLC0415  as above

    settings = load_or_default_settings(home).export
    if settings.to is None:
        return {}
    target = open_target(configured_request(home, settings, command=_COMMAND).to)
    return {target.shown: target}


def _folder(home: Home, known: KnownExport) -> str:
    """Return the folder whose removal lets a home know nothing of a target any more."""
    return str(ExportState(home, known.target).folder)
