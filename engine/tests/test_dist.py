"""Ranks on gloo: the same global batches, the same losses, the same stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_set import ENGINE, events, make_run, write_lock
from zygote import Zygote, wait_until

from fiducial_engine.dist import Ranks


def train_on(zygote: Zygote, size: int, run_dir: Path, generation: int = 1) -> list[int]:
    write_lock(run_dir, generation)
    pids = zygote.start_ranks(
        size, "train", "--run-dir", run_dir, "--generation", generation, log=run_dir / f"log-{generation}"
    )
    return [zygote.wait(pid) for pid in pids]


def said(run_dir: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(run_dir.glob("log-*")))


def last_weights(run_dir: Path) -> dict[str, Any]:
    latest = json.loads((run_dir / "checkpoints" / "latest.json").read_text())
    return dict(load_file(run_dir / "checkpoints" / latest["folder"] / "model.safetensors"))


@pytest.mark.parametrize("size", [2, 3])
def test_several_ranks_train_as_one(zygote: Zygote, data: dict[str, Any], tmp_path: Path, size: int) -> None:
    changes: dict[str, Any] = {"model__dropout": 0, "train__epochs": 4, "train__global_batch": 10}
    one = make_run(tmp_path / "one", data, **changes)
    many = make_run(tmp_path / "many", data, train__accumulate=size - 1, **changes)
    assert train_on(zygote, 1, one) == [0]
    assert train_on(zygote, size, many) == [0] * size, said(many)
    losses = [[e["loss"] for e in events(run_dir, "step")][:10] for run_dir in (one, many)]
    assert np.allclose(losses[0], losses[1], atol=1e-5)
    metrics = [events(run_dir, "validation")[-1]["metrics"] for run_dir in (one, many)]
    assert metrics[0]["loss"] == pytest.approx(metrics[1]["loss"], abs=1e-4)
    lines = [(run_dir / "predictions" / "val.jsonl").read_text().splitlines() for run_dir in (one, many)]
    assert [json.loads(a)["case_id"] for a in lines[0]] == [json.loads(b)["case_id"] for b in lines[1]]
    assert events(many, "start")[0]["world_size"] == size


def test_unknown_labels_weigh_alike_on_any_number_of_ranks(zygote: Zygote, tmp_path: Path) -> None:
    from tiny_set import make_set

    truth = np.random.default_rng(3).integers(-1, 2, (60, 2)).astype(np.int8)
    data = make_set(tmp_path / "set", labels=("a", "b"), truth_NL=truth)
    runs = [make_run(tmp_path / name, data, model__dropout=0) for name in ("one", "two")]
    assert train_on(zygote, 1, runs[0]) == [0]
    assert train_on(zygote, 2, runs[1]) == [0, 0], said(runs[1])
    losses = [[e["loss"] for e in events(run_dir, "step")] for run_dir in runs]
    assert np.allclose(losses[0], losses[1], atol=1e-5)


def test_a_signal_to_one_rank_stops_both_at_the_same_step_and_they_resume_to_the_same_bits(
    zygote: Zygote, data: dict[str, Any], tmp_path: Path
) -> None:
    whole = make_run(tmp_path / "whole", data, train__epochs=20)
    assert train_on(zygote, 2, whole) == [0, 0], said(whole)
    run_dir = make_run(tmp_path / "stopped", data, train__epochs=20)
    pids = zygote.start_ranks(2, "train", "--run-dir", run_dir, "--generation", 1, log=run_dir / "log-1")
    wait_until(lambda: (run_dir / "events.jsonl").exists() and len(events(run_dir, "step")) >= 5)
    os.kill(pids[1], signal.SIGTERM)
    assert [zygote.wait(pid) for pid in pids] == [75, 75], said(run_dir)
    assert train_on(zygote, 2, run_dir, generation=2) == [0, 0], said(run_dir)
    a, b = last_weights(whole), last_weights(run_dir)
    assert all(np.array_equal(a[key], b[key]) for key in a)


def test_a_loss_that_is_not_finite_stops_every_rank_with_code_2(
    zygote: Zygote, data: dict[str, Any], tmp_path: Path
) -> None:
    run_dir = make_run(tmp_path / "run", data, train__lr=1e30, train__clip_norm=None)
    assert train_on(zygote, 2, run_dir) == [2, 2], said(run_dir)
    assert "is not finite" in said(run_dir)


def test_a_plain_start_is_a_world_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environment() == Ranks(rank=0, size=1, local_rank=0, local_size=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_torchrun_restarts_a_killed_worker_and_the_run_ends_in_the_same_bits(
    zygote: Zygote, data: dict[str, Any], tmp_path: Path, seed: int
) -> None:
    whole = make_run(tmp_path / "whole", data, train__epochs=40)
    assert train_on(zygote, 2, whole) == [0, 0], said(whole)
    run_dir = make_run(tmp_path / "killed", data, train__epochs=40)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("--max-restarts", "3", "--module", "fiducial_engine.train", "--run-dir", str(run_dir)),
            *("--generation", "1"),
        ],
        env={**os.environ, "PYTHONPATH": str(ENGINE), "OMP_NUM_THREADS": "1"},
    )
    try:
        # A moment that the seed chooses among the run's 180 steps.
        wait_until(lambda: last_step(run_dir) >= 10 + 30 * seed, seconds=180)
        os.kill(worker_of(process.pid, rank=seed % 2), signal.SIGKILL)
        assert process.wait(timeout=240) == 0
    finally:
        process.kill()
    assert len(events(run_dir, "resume")) == 1
    a, b = last_weights(whole), last_weights(run_dir)
    assert all(np.array_equal(a[key], b[key]) for key in a)


def last_step(run_dir: Path) -> int:
    if not (run_dir / "events.jsonl").exists():
        return 0
    return max((e["step"] for e in events(run_dir)), default=0)


def worker_of(launcher: int, rank: int) -> int:
    """The process id of a torchrun worker, found by its parent and environment."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == launcher and f"RANK={rank}".encode() in environment:
            return int(folder.name)
    raise AssertionError(f"torchrun {launcher} has no rank {rank}; {time.time()}")
