"""The beginning of work on a home: its lock is held, what it needs is there, and earlier commands are finished."""

from collections.abc import Iterator
from contextlib import contextmanager

from recsys_assets.intake.events_of_home import wait_for_events
from recsys_assets.launching.chosen import require_launcher
from recsys_assets.orchestration.build_notices import Noted, noticed
from recsys_assets.orchestration.build_outcome import Watcher
from recsys_assets.orchestration.forgetting.forget_users import finish_forgets
from recsys_assets.orchestration.recall_home import finish_recalls
from recsys_assets.orchestration.repair.damage import clear_places
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock


@contextmanager
def begun(home: Home, settings: Settings, watcher: Watcher, *, launches: bool = True) -> Iterator[Noted]:
    """Hold the lock, and end what earlier commands left unfinished; the outcome is noticed at the end.

    Args:
        home: the home.
        settings: its settings.
        watcher: takes lines.
        launches: the work may need the cluster of `[launcher]`, which has to answer before anything is done.

    Raises:
        BuildRunningError: another process builds this home.
        SettingsError: a package of the cluster is missing.
        LauncherError: the cluster does not answer.
    """
    with noticed(home, settings, watcher.say) as noted:
        if launches:
            require_launcher(settings.launcher)
        with build_lock(home):
            wait_for_events(home, watcher.say)
            clear_places(home, watcher.say)
            finish_recalls(home, settings, watcher.say)
            finish_forgets(home, watcher.say)
            yield noted
