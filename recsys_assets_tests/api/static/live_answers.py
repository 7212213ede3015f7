"""An experiment for the Live tab: its file, and a look a day that decides one of two arms."""

from datetime import UTC, date, datetime, timedelta

from recsys_assets.experiments.experiments_file import read_experiments
from recsys_assets.experiments.results import ArmLook, DayLook, add_look
from recsys_assets.storage.home import Home
from recsys_assets_tests.experiments.writing import write_experiments

FIRST = date(2024, 3, 1)
DAYS = 14
WORDS = ["fresh is better than control", "loud is not decided"]
_FILE = """\
[experiments.new_ranking]
start = 2024-03-01
end = 2024-03-30
metric = "ctr"
"""
_ARM = """
[[experiments.new_ranking.arms]]
name = "{}"
share = 0.3
"""


def add_experiment(home: Home) -> None:
    """Write an experiment of three arms with its looks; the intervals begin on the third day, and get narrower."""
    write_experiments(home.root, _FILE + "".join(_ARM.format(name) for name in ("control", "fresh", "loud")))
    (experiment,) = read_experiments(home)
    for place in range(DAYS):
        half = 0.045 / (place + 1) ** 0.5
        arms = [_arm("control", 0.1)]
        arms += [_arm(name, 0.1 + lift, lift, half if place > 1 else None) for name, lift in _LIFTS.items()]
        day = FIRST + timedelta(days=place)
        add_look(
            home, experiment, DayLook(day=day, arms=arms, words=WORDS), now=datetime(2024, 4, 1, tzinfo=UTC)
        )


_LIFTS = {"fresh": 0.02, "loud": -0.002}


def _arm(name: str, value: float, lift: float | None = None, half: float | None = None) -> ArmLook:
    look = ArmLook(arm=name, users=2_000, shown=9_000, value=value)
    if lift is None:
        return look
    if half is None:
        return ArmLook(arm=name, users=2_000, shown=9_000, value=value, verdict="too few users")
    verdict = "better" if lift > half else "not decided"
    return ArmLook(
        arm=name, users=2_000, shown=9_000, value=value, difference=lift, low=lift - half, high=lift + half,
        verdict=verdict,
    )  # fmt: skip
