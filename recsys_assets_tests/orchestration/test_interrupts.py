"""Interrupts that nothing loses, and runs that a killed build left open."""

import os
import signal
import subprocess
import sys
import time
from datetime import date

import dagster as dg
import pytest

from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.interrupts import BUILD_TAG, InterruptibleProgress, Interrupts
from recsys_assets_tests.conftest import environment
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2024, 1, 1)


class SwallowsAll:
    """A handler that takes a signal and does nothing, as a lost exception does."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, lambda *_: None)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def test_a_signal_is_remembered_though_its_handler_did_nothing():
    with SwallowsAll(), Interrupts() as interrupts:
        assert not interrupts.received()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.received()
        assert interrupts.received()


def test_a_step_stops_at_its_next_unit_of_work():
    with SwallowsAll(), Interrupts() as interrupts:
        progress = InterruptibleProgress(SilentWatcher(), interrupts)
        progress.report("stage", 1, 3)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(dg.DagsterExecutionInterruptedError):
            progress.report("stage", 2, 3)


def test_the_descriptor_that_was_there_before_is_back_afterwards():
    with Interrupts():
        pass
    before = signal.set_wakeup_fd(-1)
    assert before == -1


def test_the_run_of_a_killed_build_is_closed_by_the_next_one(tmp_path):
    home, settings = small_home(tmp_path / "shop", first=FIRST, days=40)
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", "build"],
        env=environment(home.root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not home.raw.exists():
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not build(home, settings, SilentWatcher()).failed
    with open_instance(home) as instance:
        runs = instance.get_runs(dg.RunsFilter(tags={BUILD_TAG: "true"}))
        statuses = {run.status for run in runs}
    assert statuses == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
