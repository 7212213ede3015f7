"""A kill at a moment of a command, seen to its end; and what has to hold afterwards."""

from collections.abc import Callable
from typing import NamedTuple

from recsys_assets_tests.api.replicas import until
from recsys_assets_tests.scale.killed_stack import Command, Load, Stack, wait_for

WAIT_SECONDS = 600.0
"""Longest wait for a moment at which something is killed, or for a sentence about it."""


class Victim(NamedTuple):
    """One process that is killed."""

    kill: Callable[[], None]
    start: Callable[[], None]
    is_missed: Callable[[Command], bool]
    """Called with the command that runs: True when somebody noticed the kill."""


def killed_during(victim: Victim, command: Command, *, at: Callable[[], object]) -> bool:
    """Kill when `at` happens, start again when it was noticed, and wait for the end; True where it was noticed."""
    assert wait_for(lambda: at() or command.has_ended(), seconds=WAIT_SECONDS)
    victim.kill()
    try:
        missed = wait_for(
            lambda: victim.is_missed(command) or command.has_ended(), seconds=WAIT_SECONDS
        ) and victim.is_missed(command)
    finally:
        victim.start()
    command.ended()
    return missed


def until_events_go_on(load: Load) -> None:
    """Wait for an event that is acknowledged from now on."""
    acknowledged = len(load.acknowledged)
    until(lambda: len(load.acknowledged) > acknowledged)


def assert_right(stack: Stack, load: Load, *releases: str) -> None:
    """Once the load has ended: every answer was right, and of one of these releases, each of which answered."""
    assert stack.wrong() == []
    assert {header for header, *_ in load.answers} == {*releases}


def assert_whole(stack: Stack) -> None:
    """Nothing is torn: every file of every release is as it was published."""
    assert "files are as they were published, here and in s3://" in stack.command("releases", "verify")
    said = stack.command("doctor")
    assert "damaged" not in said.lower(), said
