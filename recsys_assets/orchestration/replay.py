"""A replay: days land again from the source, what follows from them is made again, and a report says what changed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from recsys_assets.errors import InputError
from recsys_assets.launching.chosen import require_launcher
from recsys_assets.orchestration.build import rebuild
from recsys_assets.orchestration.build_notices import noticed
from recsys_assets.orchestration.build_outcome import BuildOutcome, Watcher
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.landing_plan import follow, idle_days
from recsys_assets.orchestration.recall_words import spans_in_words
from recsys_assets.orchestration.replay_report import ReplayReport, Training, begin_replay, end_replay
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock


def replay(
    home: Home,
    settings: Settings,
    watcher: Watcher,
    days: Sequence[date],
    *,
    training: Training | None = None,
    who: str = "",
) -> tuple[BuildOutcome, ReplayReport]:
    """Land days again, make what follows from them, and say what changed.

    Where the rows are the same and nothing is stale, nothing is made and no report is kept. A replay that was cut off
    before goes on in this one, or is reported by the next build.

    Args:
        home: the home.
        settings: its settings.
        watcher: shows each stage.
        days: the days, in any order.
        training: `full` or `warm`; None: as `[replay] training` says.
        who: login of the person.

    Raises:
        InputError: none of the days is one of the source, or the source cannot be read.
        BuildRunningError: another process builds this home.
        LauncherError: no Ray cluster answers, where `[launcher]` names one.
        BuildInterruptedError: Ctrl-C or SIGTERM.
    """
    at = datetime.now(UTC)
    require_launcher(settings.launcher)  # before the replay is noted as begun
    with build_lock(home):
        settings = follow(home, settings, watcher, by_hand=True)
        wanted = sorted(set(days) & set(settings.source.days()))
        if not wanted:
            span = f"{settings.source.first_day} to {settings.source.last_day}"
            raise InputError(f"no day from {min(days)} to {max(days)} is in the source, which has {span}")
        inputs = Inputs(home, settings)
        idle = idle_days(inputs).difference(inputs.raw_files)
        wanted = [day for day in wanted if day not in idle]
        if not wanted:
            raise InputError(f"nothing came from {min(days)} to {max(days)}: there is nothing to land again")
        training = training or settings.replay.training
        with noticed(home, settings, watcher.say) as noted:
            begun = begin_replay(home, settings, wanted, at=at, training=training, who=who)
            if more := sorted(set(begun.days) - set(wanted)):
                watcher.say(
                    f"Also {spans_in_words(more)}: the replay of {begun.at:%Y-%m-%d %H:%M} UTC was cut off."
                )
            outcome = noted.outcome = rebuild(home, settings, watcher, begun.days, warm=training == "warm")
            return outcome, end_replay(home, settings, watcher, begun, outcome)
