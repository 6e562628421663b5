"""Resuming equals never stopping, to the bit, wherever the process was killed."""

import hashlib
import itertools
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_set import events, make_run, write_lock
from zygote import Zygote, wait_until

from fiducial_engine.shards import file_sha256

CHANGES: dict[str, Any] = {
    "train__epochs": 6,
    "train__ema": 0.9,
    "train__accumulate": 2,
    "train__validate_every": 0.5,
    "train__schedule": {"kind": "plateau", "warmup": 0.1, "factor": 0.5, "patience": 0},
}


@pytest.fixture(scope="module")
def reference(zygote: Zygote, data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """Fingerprint and seconds of a run that nobody interrupts."""
    run_dir = new_run(tmp_path_factory.mktemp("reference"), data)
    began = time.monotonic()
    assert start_and_wait(zygote, run_dir) == 0
    return fingerprint(run_dir), time.monotonic() - began


def new_run(folder: Path, data: dict[str, Any]) -> Path:
    from conftest import USER_MODEL

    run_dir = folder / "run"
    run_dir.mkdir(parents=True)
    (run_dir / "net.py").write_text(USER_MODEL)
    model = {
        **{"family": "file", "file": "net.py", "sha256": file_sha256(run_dir / "net.py")},
        **{"name": "Net", "args": {"width": 5}, "weights": "none"},
    }
    return make_run(run_dir, data, model=model, **CHANGES)


def start_and_wait(zygote: Zygote, run_dir: Path, generation: int = 1) -> int:
    write_lock(run_dir, generation)
    return zygote.run("train", "--run-dir", run_dir, "--generation", generation, log=run_dir / "log")


def fingerprint(run_dir: Path) -> str:
    """Of everything a run leaves: weights, averaged weights, optimizer, predictions, which checkpoint is best."""
    digest = hashlib.sha256()
    latest = json.loads((run_dir / "checkpoints" / "latest.json").read_text())
    best = json.loads((run_dir / "checkpoints" / "best.json").read_text())
    for pointer in (latest, best):
        digest.update(json.dumps(pointer).encode())
        folder = run_dir / "checkpoints" / pointer["folder"]
        for name in ("model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"):
            digest.update((folder / name).read_bytes())
    digest.update((run_dir / "predictions" / "val.jsonl").read_bytes())
    return digest.hexdigest()


def kill_at(zygote: Zygote, run_dir: Path, ready: Any, number: int = signal.SIGKILL) -> int:
    pid = zygote.start("train", "--run-dir", run_dir, "--generation", 1, log=run_dir / "log")
    wait_until(ready)
    os.kill(pid, number)
    return zygote.wait(pid)


def num_events(run_dir: Path, type: str) -> int:
    return len(events(run_dir, type)) if (run_dir / "events.jsonl").exists() else 0


@pytest.mark.parametrize(
    ("moment", "type", "number"),
    [("before the first checkpoint", "step", 1), ("midway", "step", 9), ("late", "checkpoint", 9)],
)
def test_a_run_killed_is_resumed_to_the_same_bits(
    zygote: Zygote,
    data: dict[str, Any],
    reference: tuple[str, float],
    tmp_path: Path,
    moment: str,
    type: str,
    number: int,
) -> None:
    run_dir = new_run(tmp_path, data)
    code = kill_at(zygote, run_dir, lambda: num_events(run_dir, type) >= number)
    assert code == -signal.SIGKILL
    assert start_and_wait(zygote, run_dir, generation=2) == 0, (run_dir / "log").read_text()
    assert fingerprint(run_dir) == reference[0]
    resumed_at = events(run_dir, "resume")[0]["step"]
    assert resumed_at == 0 if number == 1 else resumed_at > 0


def test_a_torn_last_event_is_ended_before_the_next(
    zygote: Zygote, data: dict[str, Any], reference: tuple[str, float], tmp_path: Path
) -> None:
    run_dir = new_run(tmp_path, data)
    kill_at(zygote, run_dir, lambda: num_events(run_dir, "checkpoint") >= 2)
    log = run_dir / "events.jsonl"
    log.write_bytes(log.read_bytes() + b'{"type": "step", "st')
    assert start_and_wait(zygote, run_dir, generation=2) == 0
    lines = log.read_text().splitlines()
    torn = lines.index('{"type": "step", "st')
    assert json.loads(lines[torn + 1])["type"] == "resume"
    assert fingerprint(run_dir) == reference[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_a_checkpoint_with_code_75(
    zygote: Zygote, data: dict[str, Any], reference: tuple[str, float], tmp_path: Path, number: int
) -> None:
    run_dir = new_run(tmp_path, data)
    assert kill_at(zygote, run_dir, lambda: num_events(run_dir, "step") >= 4, number) == 75
    end = events(run_dir, "end")[-1]
    assert end["status"] == "stopped"
    assert json.loads((run_dir / "checkpoints" / "latest.json").read_text())["step"] == end["step"]
    assert start_and_wait(zygote, run_dir, generation=2) == 0
    assert events(run_dir, "resume")[0]["step"] == end["step"]
    assert fingerprint(run_dir) == reference[0]


def test_a_damaged_checkpoint_is_passed_over_with_a_warning_that_names_the_file(
    zygote: Zygote, data: dict[str, Any], reference: tuple[str, float], tmp_path: Path
) -> None:
    run_dir = new_run(tmp_path, data)
    kill_at(zygote, run_dir, lambda: num_events(run_dir, "checkpoint") >= 6)
    newest = max((run_dir / "checkpoints").glob("step-*"))
    damage(newest / "model.safetensors")
    assert start_and_wait(zygote, run_dir, generation=2) == 0
    told = [w["message"] for w in events(run_dir, "warning")]
    assert any(f"{newest.name} is damaged: model.safetensors" in message for message in told)
    assert fingerprint(run_dir) == reference[0]


def test_without_an_intact_checkpoint_the_run_stops_naming_every_damaged_file(
    zygote: Zygote, data: dict[str, Any], tmp_path: Path
) -> None:
    run_dir = new_run(tmp_path, data)
    kill_at(zygote, run_dir, lambda: num_events(run_dir, "checkpoint") >= 3)
    for folder in (run_dir / "checkpoints").glob("step-*"):
        damage(folder / "optimizer.safetensors")
    assert start_and_wait(zygote, run_dir, generation=2) == 2
    said = (run_dir / "log").read_text()
    assert said.count("optimizer.safetensors does not have the sha256") >= 2
    assert "--new" in said


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x10
    path.write_bytes(data)


def test_a_newer_generation_stops_the_older_process_before_its_next_checkpoint(
    zygote: Zygote, data: dict[str, Any], tmp_path: Path
) -> None:
    run_dir = new_run(tmp_path, data)
    pid = zygote.start("train", "--run-dir", run_dir, "--generation", 1, log=run_dir / "log")
    wait_until(lambda: num_events(run_dir, "checkpoint") >= 1)
    write_lock(run_dir, 2)
    assert zygote.wait(pid) == 2
    assert "Another process writes this run now" in (run_dir / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(45))
def test_a_run_killed_at_a_random_moment_is_resumed_to_the_same_bits(
    zygote: Zygote, data: dict[str, Any], reference: tuple[str, float], tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    delay = rng.random() * reference[1]
    for attempt in itertools.count():  # A run that has ended before its first kill shows nothing: once more, sooner.
        run_dir = new_run(tmp_path / str(attempt), data)
        if killed_after(delay, zygote, run_dir, generation=1):
            break
        delay *= 0.7
    num_kills = 1 + rng.randrange(3)
    for generation in range(2, num_kills + 1):  # These may come too late: what is left of a run is shorter.
        killed_after(rng.random() * reference[1], zygote, run_dir, generation)
    assert start_and_wait(zygote, run_dir, num_kills + 1) == 0, (run_dir / "log").read_text()
    assert fingerprint(run_dir) == reference[0]


def killed_after(seconds: float, zygote: Zygote, run_dir: Path, generation: int) -> bool:
    """Starts a training and kills it after a time; whether it still ran."""
    write_lock(run_dir, generation)
    pid = zygote.start("train", "--run-dir", run_dir, "--generation", generation, log=run_dir / "log")
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return zygote.wait(pid) == -signal.SIGKILL
