"""Checkpoints: whole folders or none, each file's sha256 in a manifest; safetensors and JSON, never pickle.

    checkpoints/step-00000123/   model.safetensors  optimizer.safetensors  ema.safetensors?  state.json  manifest.json
    checkpoints/{latest,best}.json   name a step's folder and are written after it

A folder is written under a temporary name, flushed to disk and renamed. A kill at any point leaves the checkpoint
before it, or this one.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

from fiducial_engine.config import CheckpointPointer, RunLock
from fiducial_engine.ema import AveragedNetwork
from fiducial_engine.errors import UserError
from fiducial_engine.shards import file_sha256
from fiducial_engine.strict import load, parse


@dataclass(kw_only=True)
class Progress:
    """How far a run has come; everything besides tensors that the next step depends on."""

    step: int = 0  # Optimizer updates done.
    epoch: float = 0.0
    metrics: dict[str, float | None] = field(default_factory=dict)  # Of the validation at this step, if there was one.
    best: CheckpointPointer | None = None
    validations_since_best: int = 0
    plateau_drops: int = 0
    plateau_since: int = 0  # Validations since the best or the last drop.
    early_stopped: bool = False
    scaler: dict[str, float] | None = None  # Of fp16.
    weights_sha256: str | None = None  # Of the file that step 0 started from; None where it started at random.


@dataclass(frozen=True, slots=True)
class Trainee:
    """What training changes."""

    network: nn.Module
    optimizer: Optimizer
    ema: AveragedNetwork | None


class Checkpoints:
    """The `checkpoints` folder of a run; only rank 0 writes."""

    def __init__(self, run_dir: Path, generation: int, keep: int) -> None:
        self._run_dir = run_dir
        self._folder = run_dir / "checkpoints"
        self._generation = generation
        self._keep = keep

    def check_lock(self) -> None:
        """
        Raises:
            UserError: another process has started to write this run.
        """
        lock = load(RunLock, self._run_dir / "lock.json")
        if lock.generation != self._generation:
            raise UserError(
                f"Another process writes this run now: {self._run_dir}\n"
                f"  lock.json holds generation {lock.generation} (process {lock.pid} on {lock.host}); "
                f"this process was started as {self._generation}.\n"
                "  do: nothing, if that was meant; this process stops without touching the run's checkpoints."
            )

    def remove_unfinished(self) -> None:
        """Remove what a killed process left half-written."""
        for path in self._folder.glob(".tmp-*"):
            shutil.rmtree(path, ignore_errors=True)

    def restore(self, trainee: Trainee) -> tuple[Progress | None, list[str]]:
        """Load the newest checkpoint whose bytes are intact.

        Returns:
            The progress it holds, or None when there is no checkpoint; and a warning for each damaged one passed over.

        Raises:
            UserError: there are checkpoints, but none intact; each damaged file is named.
        """
        damage: list[str] = []
        for folder in self._newest_first():
            wrong = damaged_files(folder)
            if not wrong:
                return self._load(folder, trainee), [f"{d}\nGoing on from {folder.name} instead." for d in damage]
            damage.append(f"Checkpoint {folder.name} is damaged: {', '.join(wrong)}.")
        if damage:
            raise UserError(
                "\n".join(
                    [
                        *damage,
                        f"  in: {self._folder}",
                        "  do: start another run with --new; none of these can be resumed.",
                    ]
                )
            )
        return None, []

    def save(self, trainee: Trainee, progress: Progress, *, is_best: bool) -> str:
        """Write a checkpoint and the pointers to it, then remove those no longer kept. Returns the folder's name.

        Raises:
            UserError: the disk is full, or another process has taken over the run.
        """
        self.check_lock()
        if is_best:
            progress.best = _pointer(progress)
        name = _pointer(progress).folder
        self._folder.mkdir(exist_ok=True)
        temporary = self._folder / f".tmp-{name}-{os.getpid()}"
        with _explained(temporary):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            _save_tensors(trainee.network.state_dict(), temporary / "model.safetensors")
            _save_tensors(_optimizer_tensors(trainee), temporary / "optimizer.safetensors")
            if trainee.ema is not None:
                _save_tensors(trainee.ema.network.state_dict(), temporary / "ema.safetensors")
            _write(temporary / "state.json", dataclasses.asdict(progress))
            _write(temporary / "manifest.json", {f.name: file_sha256(f) for f in sorted(temporary.iterdir())})
            _flush(temporary)
            self._publish(temporary, name)
            self._point_to(progress)
            self._prune(progress)
        return name

    def _point_to(self, progress: Progress) -> None:
        self._point("latest", _pointer(progress))
        if progress.best is not None:
            self._point("best", progress.best)
        else:
            (self._folder / "best.json").unlink(missing_ok=True)

    def _publish(self, temporary: Path, name: str) -> None:
        final = self._folder / name
        if final.exists():  # Left by a kill before the pointer was written, or damaged and passed over.
            shutil.rmtree(final)
        temporary.rename(final)
        _flush(self._folder)

    def _point(self, which: str, pointer: CheckpointPointer) -> None:
        temporary = self._folder / f".tmp-{which}.json"
        _write(temporary, dataclasses.asdict(pointer))
        temporary.rename(self._folder / f"{which}.json")
        _flush(self._folder)

    def _prune(self, progress: Progress) -> None:
        # A folder newer than this step was damaged and passed over: it goes, and counts for nothing.
        latest = _pointer(progress).folder
        best = progress.best.folder if progress.best is not None else None
        folders = self._newest_first()
        kept = {best, *[f.name for f in folders if f.name <= latest][: self._keep]}
        for folder in folders:
            if folder.name not in kept:
                shutil.rmtree(folder)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"), reverse=True)

    def _load(self, folder: Path, trainee: Trainee) -> Progress:
        progress = _read_progress(folder / "state.json")
        _load_tensors(trainee.network, folder / "model.safetensors")
        if trainee.ema is not None:
            _load_tensors(trainee.ema.network, folder / "ema.safetensors")
        _load_optimizer(trainee, load_file(folder / "optimizer.safetensors"))
        if progress.best is not None and not (self._folder / progress.best.folder).exists():
            progress.best = None  # Removed when a later one beat it, whose checkpoint is damaged.
        return progress

    def repair_pointers(self, progress: Progress) -> None:
        """Name what was restored again: a kill may have come between a folder and its pointers."""
        with _explained(self._folder / ".tmp-latest.json"):
            self._point_to(progress)


def read_pointer(run_dir: Path, which: str) -> CheckpointPointer:
    """`checkpoints/best.json` or `latest.json`.

    Raises:
        UserError: the run has no such checkpoint yet.
    """
    path = run_dir / "checkpoints" / f"{which}.json"
    if not path.exists():
        raise UserError(f"The run at {run_dir} has no {which} checkpoint yet.\n  do: train it first.")
    return load(CheckpointPointer, path)


def load_weights(run_dir: Path, pointer: CheckpointPointer, network: nn.Module) -> None:
    """Load a checkpoint's weights, the averaged ones where the run averages.

    Raises:
        UserError: the file is missing or its bytes changed; it is named.
    """
    folder = run_dir / "checkpoints" / pointer.folder
    wrong = damaged_files(folder)
    if wrong:
        raise UserError(
            f"Checkpoint {pointer.folder} is damaged: {', '.join(wrong)}.\n  in: {run_dir}\n"
            "  do: train again with --new, or name another checkpoint."
        )
    averaged = folder / "ema.safetensors"
    _load_tensors(network, averaged if averaged.exists() else folder / "model.safetensors")


def damaged_files(folder: Path) -> list[str]:
    """What is wrong with a checkpoint, a phrase a file; empty when every byte is as it was written."""
    try:
        manifest: dict[str, str] = json.loads((folder / "manifest.json").read_text())
        wrong = []
        for name, expected in manifest.items():
            path = folder / name
            if not path.exists():
                wrong.append(f"{name} is missing")
            elif file_sha256(path) != expected:
                wrong.append(f"{name} does not have the sha256 of manifest.json")
        return wrong
    except (OSError, ValueError, AttributeError) as cause:
        return [f"manifest.json can't be read ({cause})"]


def _optimizer_tensors(trainee: Trainee) -> dict[str, Tensor]:
    """Optimizer state by the parameter's name: `exp_avg/net.conv1.weight`."""
    state = trainee.optimizer.state
    return {
        f"{key}/{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for name, parameter in trainee.network.named_parameters()
        for key, value in state.get(parameter, {}).items()
        if value is not None
    }


def _load_optimizer(trainee: Trainee, tensors: dict[str, Tensor]) -> None:
    by_name = dict(trainee.network.named_parameters())
    trainee.optimizer.state.clear()
    for full_name, value in tensors.items():
        key, name = full_name.split("/", 1)
        parameter = by_name[name]
        # Laid out as the parameter is (channels last, say): the same kernels then run as without the interruption.
        # Of a parameter without axes, `step` too has its shape.
        like_parameter = value.shape == parameter.shape and key != "step"
        place = torch.empty_like(parameter, dtype=value.dtype) if like_parameter else torch.empty_like(value)
        if key == "step" and parameter.device.type == "cuda":
            place = place.to(parameter.device)
        trainee.optimizer.state[parameter][key] = place.copy_(value)


def _save_tensors(tensors: dict[str, Any], path: Path) -> None:
    # A copy each: safetensors refuses tensors that share memory, as tied weights do.
    save_file({k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}, path)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _load_tensors(network: nn.Module, path: Path) -> None:
    network.load_state_dict(load_file(path), strict=True)


def _read_progress(path: Path) -> Progress:
    value = json.loads(path.read_text())
    best = value.pop("best")
    return Progress(**value, best=None if best is None else parse(CheckpointPointer, best, str(path)))


def _pointer(progress: Progress) -> CheckpointPointer:
    folder = f"step-{progress.step:08d}"
    return CheckpointPointer(step=progress.step, epoch=progress.epoch, folder=folder, metrics=progress.metrics)


def _write(path: Path, value: object) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _explained(temporary: Path) -> Iterator[None]:
    """A full disk is the user's to mend; the half-written folder goes, earlier checkpoints stay."""
    try:
        yield
    except (OSError, SafetensorError) as cause:
        shutil.rmtree(temporary, ignore_errors=True)
        full = getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(cause)
        if not full:
            raise
        raise UserError(
            f"The disk is full: the checkpoint could not be written.\n  at: {temporary.parent}\n"
            "  do: free some space and run the same command again; it resumes from the checkpoint before."
        ) from cause
