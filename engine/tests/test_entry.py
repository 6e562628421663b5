"""Processes start and end as entry.py says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_ENGINE = Path(__file__).parents[1]

_WAITING = """
import os, signal, sys
from fiducial_engine.entry import StopRequest, run_entry
from fiducial_engine.errors import StoppedError

def main(arguments):
    stop = StopRequest()
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)  # A signal writes a byte here, however it races with the read below.
    print("ready", file=sys.stderr, flush=True)
    while not stop.is_set:
        os.read(woken, 1)
    raise StoppedError("stopped")

run_entry(main)
"""


def _start(**env: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WAITING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
        cwd=_ENGINE,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    return process


def test_sigterm_ends_as_stopped_with_one_json_line() -> None:
    process = _start()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (75, '{"stopped": "stopped"}\n')


def test_a_training_whose_agent_was_killed_stops() -> None:
    process = _start(FIDUCIAL_STOP_AT_EOF="1")
    for pipe in (process.stdout, process.stderr, process.stdin):
        assert pipe is not None
        pipe.close()
    assert process.wait(timeout=10) == 75


def test_the_end_of_stdin_is_nothing_to_a_training_started_by_hand() -> None:
    process = _start()
    assert process.stdin is not None
    process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.kill()
    process.wait(timeout=10)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("RuntimeError('CUDA out of memory. Tried to allocate 9 GiB')", "accelerator's memory ran out"),
        ("MemoryError()", "Memory ran out"),
        ("ValueError('Expected more than 1 value per channel when training')", "raise train.global_batch"),
        ("OSError(28, 'No space left on device', '/runs/x')", "The disk is full.\\n  at: /runs/x"),
    ],
    ids=["accelerator", "memory", "batch norm", "disk"],
)
def test_what_ran_out_or_was_too_small_is_told_as_the_users_to_mend(raised: str, message: str) -> None:
    script = f"from fiducial_engine.entry import run_entry\ndef main(arguments): raise {raised}\nrun_entry(main)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=10, cwd=_ENGINE)
    assert ended.returncode == 2
    assert message in ended.stdout


def test_a_users_mistake_exits_2_with_its_message_last_on_stdout() -> None:
    script = (
        "from fiducial_engine.entry import run_entry\n"
        "from fiducial_engine.errors import UserError\n"
        "def main(arguments): raise UserError('no weights')\n"
        "run_entry(main)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=10, cwd=_ENGINE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, '{"error": "no weights"}\n', "no weights\n")
