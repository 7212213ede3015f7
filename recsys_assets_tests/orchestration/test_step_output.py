"""Output of steps is in its file and at the terminal, whole and in order, also that of other processes."""

import subprocess
import sys
from pathlib import Path

CODE = """
import subprocess, sys, time
from recsys_assets.orchestration.step_output import mirrored
print("before", flush=True)
for number in range(3):
    with mirrored(sys.stdout, sys.argv[1] + str(number)), mirrored(sys.stderr, sys.argv[1] + "errors"):
        print("step", number)
        subprocess.run([sys.executable, "-c", "print('of a child')"], check=True)
        print("wrong", number, file=sys.stderr)
        if number == 2:
            print("x" * 1_000_000)
print("after")
"""


def command(folder: Path) -> list[str]:
    return [sys.executable, "-c", CODE, str(folder / "step")]


def test_every_line_is_in_its_file_and_at_the_terminal(tmp_path):
    done = subprocess.run(command(tmp_path), check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    files = [(tmp_path / f"step{number}").read_text() for number in range(3)]
    for number, text in enumerate(files):
        assert f"step {number}\n" in text
        assert "of a child\n" in text
    assert done.stdout == f"before\n{''.join(files)}after\n"
    assert done.stderr == (tmp_path / "steperrors").read_text() == "wrong 0\nwrong 1\nwrong 2\n"


def test_a_reader_that_went_away_stops_no_step(tmp_path):
    with subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"before\n"
        process.stdout.close()
        process.stderr.read()
    assert len((tmp_path / "step2").read_text()) > 1_000_000
