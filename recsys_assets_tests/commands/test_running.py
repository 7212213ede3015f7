"""Servers side by side: all of them end together, whatever ends first."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

SLEEPER = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
)
SLEEPER += "open(sys.argv[1], 'w').close(); time.sleep(60)"


def _supervise(folder, *servers: str) -> subprocess.Popen[str]:
    """Run `run_until_stopped` in a process of its own, as `recsys up` does."""
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from recsys_assets.errors import ServerStoppedError
        from recsys_assets.commands.running import Server, run_until_stopped
        folder = Path({str(folder)!r})
        servers = [
            Server(name=f"server {{n}}", command=[sys.executable, "-c", code, str(folder / f"started-{{n}}")],
                   log=folder / f"{{n}}.log")
            for n, code in enumerate({list(servers)!r})
        ]
        try:
            run_until_stopped(servers)
        except ServerStoppedError as error:
            print(error)
            sys.exit(1)
    """)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def _alive(folder: Path) -> list[int]:
    """Processes whose command names `folder`: the servers and what they started."""
    own = [process.pid for process in psutil.process_iter() if str(folder) in " ".join(_command(process))]
    return [pid for pid in own if pid != os.getpid()]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _wait_until(condition, seconds=30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_child_and_grandchild(tmp_path, number):
    process = _supervise(tmp_path, SLEEPER, SLEEPER)
    _wait_until(lambda: (tmp_path / "started-0").exists() and (tmp_path / "started-1").exists())
    process.send_signal(number)
    assert process.wait(timeout=30) == 0
    _wait_until(lambda: not _alive(tmp_path))


def test_when_one_ends_by_itself_the_others_end_too_and_its_last_lines_are_shown(tmp_path):
    dying = "import sys; print('out of luck', flush=True); sys.exit(3)"
    process = _supervise(tmp_path, SLEEPER, dying)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "server 1 ended with code 3" in output
    assert "out of luck" in output
    _wait_until(lambda: not _alive(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_children_are_interrupted_when_the_supervisor_is_killed(tmp_path):
    process = _supervise(tmp_path, SLEEPER, SLEEPER)
    _wait_until(lambda: (tmp_path / "started-0").exists() and (tmp_path / "started-1").exists())
    children = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=30)[1] == []
    for grandchild in _alive(tmp_path):
        os.kill(grandchild, signal.SIGKILL)
