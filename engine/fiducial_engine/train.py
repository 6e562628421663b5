"""Trains a run: one loop, read top to bottom. `python -m fiducial_engine.train --run-dir DIR --generation G`.

It reads run.json and the shard set, writes events.jsonl, checkpoints and predictions/val.jsonl, and goes on from the
newest checkpoint when there is one. The test split is never read. Longer than other files on purpose: whoever asks what
a step does finds all of it here, in order. What tasks do differently is behind tasks/task.py.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from fiducial_engine.checkpoint import Checkpoints, Progress, Trainee, load_weights
from fiducial_engine.config import PlateauSchedule, RunConfig
from fiducial_engine.device import (
    autocast,
    exact_float32,
    memory_format,
    num_threads,
    resolve_device,
    resolve_precision,
    set_up,
)
from fiducial_engine.dist import Ranks, without_sync
from fiducial_engine.ema import AveragedNetwork
from fiducial_engine.entry import StopRequest, as_user_error, run_entry
from fiducial_engine.errors import StoppedError, UserError
from fiducial_engine.events import EventLog, NoEvents
from fiducial_engine.finite import FiniteCheck
from fiducial_engine.inference import PART_CODES
from fiducial_engine.loader import Loader
from fiducial_engine.meter import Meter
from fiducial_engine.models.network import build_network
from fiducial_engine.optim import build_optimizer
from fiducial_engine.randomness import Purpose, torch_seed
from fiducial_engine.sampling import PartRows, Rows, Sampler
from fiducial_engine.schedule import lr_factor
from fiducial_engine.select import is_better
from fiducial_engine.stopwatch import Stopwatch
from fiducial_engine.strict import load_run_config
from fiducial_engine.tasks.registry import TASKS
from fiducial_engine.tasks.task import Task


def main(arguments: list[str]) -> Mapping[str, object]:
    parser = argparse.ArgumentParser(prog="fiducial_engine.train")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--generation", type=int, required=True, help="of lock.json; another one stops this process")
    parser.add_argument("--warning", action="append", default=[], help="to be written to the events; repeatable")
    options = parser.parse_args(arguments)
    stop = StopRequest()
    run_dir = options.run_dir.resolve()
    config = load_run_config(run_dir / "run.json")
    if "auto" in (config.train.device, config.train.precision):
        raise UserError("run.json leaves train.device or train.precision open: run fiducial_engine.probe first.")
    ranks = Ranks.from_environment()
    kind = resolve_device(config.train.device)
    resolve_precision(config.train.precision, kind)
    threads = num_threads(ranks.local_size)
    device = set_up(kind, ranks.local_rank, threads, deterministic=config.train.deterministic)
    checkpoints = Checkpoints(run_dir, options.generation, config.train.keep_checkpoints)
    checkpoints.check_lock()
    watch = Stopwatch(device)
    progress = Progress()
    with (
        ranks.joined(device),
        EventLog(run_dir / "events.jsonl") if ranks.rank == 0 else NoEvents() as events,
    ):
        try:
            status = train(
                *(run_dir, config, ranks, device, threads, checkpoints, progress, events, watch, stop),
                warnings=options.warning,
            )
        except BaseException as error:
            message = str(as_user_error(error) or f"{type(error).__name__}: {error}")
            # Where nothing can be written, or the device answers no more, the error itself is what is to be told.
            with suppress(OSError, RuntimeError):
                events.write("end", progress.step, status="failed", message=message, seconds=watch.seconds())
            raise
        events.write("end", progress.step, status=status, message=None, seconds=watch.seconds())
    if status == "stopped":
        raise StoppedError(f"Stopped after step {progress.step}; the same command resumes there.")
    best = progress.best.step if progress.best is not None else None
    return {"run_dir": str(run_dir), "status": status, "step": progress.step, "best_step": best}


def train(
    run_dir: Path,
    config: RunConfig,
    ranks: Ranks,
    device: torch.device,
    threads: int,
    checkpoints: Checkpoints,
    progress: Progress,
    events: EventLog,
    watch: Stopwatch,
    stop: StopRequest,
    *,
    warnings: list[str],
) -> str:
    """Train to the end, or to the next step after a stop is requested. Returns the status of the `end` event.

    Args:
        progress: changed as training goes.
        warnings: of whoever started this, for the events.

    Raises:
        UserError: data, model or weights can't be used, or the loss is not finite.
    """
    settings = config.train
    task = TASKS[config.task.kind].open(config, device)
    train_rows = PartRows(task.tables.part_N, task.shard_start, PART_CODES["train"])
    val_rows = PartRows(task.tables.part_N, task.shard_start, PART_CODES["val"]).all()
    _check_sizes(config, len(train_rows), ranks)
    sampler = Sampler(
        train_rows,
        seed=settings.seed,
        global_batch=settings.global_batch,
        streams=settings.streams,
        window=settings.shuffle_window,
    )
    total_steps = math.ceil(settings.epochs * len(train_rows) / settings.global_batch - 1e-9)
    unlearnable = task.prepare_training(train_rows)

    # The network, and what it was when an earlier start was interrupted.
    has_checkpoint = any((run_dir / "checkpoints").glob("step-*"))
    torch.manual_seed(torch_seed(settings.seed, Purpose.INITIAL_WEIGHTS))
    network, initial = build_network(config, run_dir, weights="none" if has_checkpoint else config.model.weights)
    if settings.sync_batch_norm:
        network.net = _with_synced_batch_norm(network.net, device)
    num_axes = len(task.samples.image_shape) - 1
    network.to(device).to(memory_format=memory_format(device, settings.precision, num_axes))
    ema = AveragedNetwork(network, settings.ema) if settings.ema is not None else None
    optimizer = build_optimizer(network, settings.optimizer, settings.lr, device)
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    trainee = Trainee(network, optimizer, ema)
    progress.weights_sha256 = initial.sha256
    if ranks.rank == 0:
        checkpoints.remove_unfinished()
    restored, damage = checkpoints.restore(trainee)
    if restored is not None:
        progress.__dict__.update(restored.__dict__)
        if scaler.is_enabled() and progress.scaler is not None:
            scaler.load_state_dict(progress.scaler)
        if ranks.rank == 0:
            checkpoints.repair_pointers(progress)
    model = ranks.wrap(_compiled(network, device) if settings.compile else network, device)

    if events.is_restart:
        events.write("resume", progress.step)
    place = {
        "world_size": ranks.size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": threads,
        "torch": str(torch.__version__),
    }
    events.write(
        "start",
        progress.step,
        total_steps=total_steps,
        precision=settings.precision,
        **place,
        num_train=len(train_rows),
        num_val=len(val_rows),
        num_parameters=sum(p.numel() for p in network.parameters()),
        weights_sha256=progress.weights_sha256,
    )
    if progress.step > 0:
        events.write_changes(progress.step, **place)
    for warning in [
        *warnings,
        *initial.warnings,
        *damage,
        *unlearnable,
        *_split_warnings(len(val_rows)),
    ]:
        events.write("warning", progress.step, message=warning)

    validate_after = _validation_steps(settings.validate_every, len(train_rows), settings.global_batch, total_steps)
    loader = Loader(
        task.samples,
        sampler,
        first_step=progress.step,
        end_step=progress.step if progress.early_stopped else total_steps,
        accumulate=settings.accumulate,
        rank=ranks.rank,
        world_size=ranks.size,
        pin=device.type == "cuda",
    )
    finite = FiniteCheck(task.tables, ranks)
    meter = Meter(settings.global_batch)
    last_saved = time.monotonic()
    stopped = False

    with loader:
        for step, micro_batches in enumerate(loader, progress.step):
            meter.begin(loader.wait_seconds)
            # Every rank learns the divisor of the loss, and whether any wants to stop or to save after this step.
            due = ranks.rank == 0 and time.monotonic() - last_saved > 60 * settings.checkpoint_every_minutes
            known = sum(task.num_known(batch.target) for batch in micro_batches)
            agreeing = ranks.sum_on_host([known, stop.is_set, due])
            torch.manual_seed(torch_seed(settings.seed, Purpose.DROPOUT, step, ranks.rank))
            lr = settings.lr * lr_factor(settings.schedule, step, total_steps, progress.plateau_drops)
            for group in optimizer.param_groups:
                group["lr"] = lr

            losses: list[Tensor] = []
            divisor = stop_asked = save_asked = 0.0
            for number, batch in enumerate(micro_batches, 1):
                last = number == len(micro_batches)
                with watch.device("augment"):
                    image, target = task.augmented(batch)
                with without_sync(model, last=last):
                    with watch.device("forward"), autocast(device, settings.precision):
                        loss_B = task.loss_per_sample(model(image), target)
                    if number == 1:
                        divisor, stop_asked, save_asked = agreeing.wait()
                    # Ranks' gradients are averaged; the loss is a sum over ranks divided by what is known.
                    share = ranks.size / max(1.0, divisor)
                    with watch.device("backward"):
                        scaler.scale(loss_B.sum() * share).backward()
                losses.append(loss_B.detach())

            with watch.device("optimizer"):
                norm: Tensor | None = None
                if settings.clip_norm is not None:
                    scaler.unscale_(optimizer)
                    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
                if ema is not None:
                    ema.update(network, step)
            loss = ranks.sum(torch.stack([x.sum() for x in losses]).sum()) / max(1.0, divisor)
            finite.add(step, loss, None if scaler.is_enabled() else norm, losses, micro_batches)

            progress.step = step + 1
            progress.epoch = progress.step * settings.global_batch / len(train_rows)
            progress.metrics = {}
            validating = progress.step in validate_after
            stopped = stop_asked > 0
            if device.type == "cpu" or step < 10 or step % 10 == 0 or validating or save_asked or stopped:
                finite.check()
            # A loss that is not finite has no event: the check above ends every rank within 10 steps.
            # A validation starts the meter anew: where epochs are shorter than its interval, each still has a step.
            if (meter.is_due(step) or validating or stopped) and math.isfinite(float(loss)):
                rate, wait = meter.read(loader.wait_seconds)
                events.write(
                    "step",
                    progress.step,
                    epoch=progress.epoch,
                    loss=float(loss),
                    lr=lr,
                    samples_per_second=rate,
                    data_wait_fraction=wait,
                )

            is_best = False
            if validating:
                with watch.host("validation"):
                    is_best = _validate(config, trainee, task, val_rows, ranks, progress, events)
            if validating or save_asked or stopped:
                with watch.host("checkpoint"):
                    began = time.monotonic()
                    progress.scaler = scaler.state_dict() if scaler.is_enabled() else None
                    if ranks.rank == 0:
                        folder = checkpoints.save(trainee, progress, is_best=is_best)
                        events.write("checkpoint", progress.step, folder=folder, seconds=time.monotonic() - began)
                    progress.best = ranks.from_first(progress.best)
                    last_saved = time.monotonic()
                meter.restart(loader.wait_seconds)
            if stopped or progress.early_stopped:
                break
    watch.add("data", loader.wait_seconds)
    if stopped and progress.step < total_steps and not progress.early_stopped:
        return "stopped"

    if task.predicts_validation:
        with watch.host("validation"):
            _predict_validation(run_dir, trainee, task, val_rows, ranks, progress)
    return "early_stopped" if progress.early_stopped else "finished"


def _validate(
    config: RunConfig,
    trainee: Trainee,
    task: Task,
    val_rows: Rows,
    ranks: Ranks,
    progress: Progress,
    events: EventLog,
) -> bool:
    """Measure the validation split, each case once, and update what depends on it. Returns whether it is the best."""
    settings, began = config.train, time.monotonic()
    network = trainee.ema.network if trainee.ema is not None else trainee.network
    ranks.broadcast_buffers(network)
    progress.metrics = task.validate(network, val_rows, ranks, settings.precision, f"step {progress.step}")
    progress.metrics = ranks.from_first(progress.metrics)
    # Until a value is defined, the newest checkpoint is the best there is.
    best = {} if progress.best is None else progress.best.metrics
    is_best = best.get(settings.select) is None or is_better(progress.metrics, best, settings.select)
    progress.validations_since_best = 0 if is_best else progress.validations_since_best + 1
    progress.plateau_since = 0 if is_best else progress.plateau_since + 1
    if isinstance(settings.schedule, PlateauSchedule) and progress.plateau_since > settings.schedule.patience:
        progress.plateau_drops, progress.plateau_since = progress.plateau_drops + 1, 0
    patience = settings.early_stopping_patience
    progress.early_stopped = patience is not None and progress.validations_since_best >= patience
    events.write(
        "validation",
        progress.step,
        epoch=progress.epoch,
        metrics=progress.metrics,
        is_best=is_best,
        seconds=time.monotonic() - began,
    )
    return is_best


def _predict_validation(
    run_dir: Path, trainee: Trainee, task: Task, val_rows: Rows, ranks: Ranks, progress: Progress
) -> None:
    """Write predictions/val.jsonl of the best checkpoint, in full float32 as the package will compute."""
    assert progress.best is not None
    exact_float32()
    load_weights(run_dir, progress.best, trainee.network)
    path = run_dir / "predictions" / "val.jsonl"
    task.predict(trainee.network, val_rows, ranks, path, f"step {progress.best.step}")


def _check_sizes(config: RunConfig, num_train: int, ranks: Ranks) -> None:
    if num_train == 0:
        raise UserError("The training split is empty.\n  do: look at data.split; fiducial inspect shows its plan.")
    passes = ranks.size * config.train.accumulate
    if config.train.global_batch < passes:
        raise UserError(
            f"train.global_batch: {config.train.global_batch} samples can't be shared by {ranks.size} ranks × "
            f"{config.train.accumulate} passes.\n  do: raise it to {passes} or more, or lower train.accumulate."
        )


def _validation_steps(every_epochs: float, num_train: int, global_batch: int, total_steps: int) -> set[int]:
    """Steps after which to validate: each multiple of `every_epochs`, and the last."""
    num = int(total_steps * global_batch / num_train / every_epochs)
    steps = {math.ceil(k * every_epochs * num_train / global_batch - 1e-9) for k in range(1, num + 1)}
    return {s for s in steps if s <= total_steps} | {total_steps}


def _split_warnings(num_val: int) -> list[str]:
    return [] if num_val else ["The validation split is empty: the newest checkpoint counts as the best."]


def _with_synced_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    if device.type != "cuda":
        raise UserError("train.sync_batch_norm works on GPUs only.\n  do: set it to false.")
    synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return synced


def _compiled(network: nn.Module, device: torch.device) -> nn.Module:
    if device.type == "cpu" and not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        raise UserError("train.compile needs a C++ compiler on the CPU, and none is installed.\n  do: set it to false.")
    return cast(nn.Module, torch.compile(network))


if __name__ == "__main__":
    run_entry(main)
