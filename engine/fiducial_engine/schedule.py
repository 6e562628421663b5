"""Learning rate as a function of the step; plateau also of the validations so far."""

from __future__ import annotations

import math

from fiducial_engine.config import CosineSchedule, OneCycleSchedule, PlateauSchedule, Schedule, StepSchedule


def lr_factor(schedule: Schedule, step: int, total_steps: int, drops: int = 0) -> float:
    """Share of the peak rate that step `step` (from 0) of `total_steps` uses.

    Args:
        drops: how often plateau has lowered the rate so far.
    """
    warmup_steps = round(schedule.warmup * total_steps)
    if isinstance(schedule, OneCycleSchedule):
        return _one_cycle(schedule, step, total_steps, warmup_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if isinstance(schedule, CosineSchedule):
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps - 1)
        low = schedule.min_lr_fraction
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    if isinstance(schedule, StepSchedule):
        passed = sum(step >= round(m * total_steps) for m in schedule.milestones)
        return float(schedule.factor**passed)
    if isinstance(schedule, PlateauSchedule):
        return float(schedule.factor**drops)
    return 1.0


def _one_cycle(schedule: OneCycleSchedule, step: int, total_steps: int, warmup_steps: int) -> float:
    """Smith & Topin 2017, cosine on both sides."""
    if step < warmup_steps:
        return _cosine(schedule.start_fraction, 1.0, step / warmup_steps)
    return _cosine(1.0, schedule.end_fraction, (step - warmup_steps) / max(1, total_steps - warmup_steps - 1))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
