"""Logits of a whole volume from windows that overlap, blended with Gaussian weights: what MONAI's
sliding_window_inference(mode="gaussian") computes, without the ten seconds that importing MONAI takes each process.

C channels, K outputs, Z, Y, X voxels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fiducial_engine.device import autocast
from fiducial_engine.inference import to_device

Triple = tuple[int, int, int]

_SIGMA = 0.125  # Of a window's side, as MONAI's and nnU-Net's.
_LEAST_WEIGHT = 1e-3
_BATCH_VOXELS = {"cpu": 1 << 18, "cuda": 1 << 23, "mps": 1 << 21}  # About what a pass computes at once.
# The blended volume lies on the device up to here, beyond in host memory.
_MOST_DEVICE_BYTES = 4 << 30


@torch.no_grad()
def logits_of_volume(
    network: nn.Module,
    stored_CZYX: Tensor,
    empty_C: NDArray[Any],
    *,
    patch: Triple,
    overlap: float,
    num_outputs: int,
    device: torch.device,
    precision: str,
    mirror: tuple[int, ...] = (),
) -> Tensor:
    """Blend the logits of all windows; a network in evaluation mode.

    Args:
        stored_CZYX: in host memory.
        empty_C: stored values that a volume smaller than the window is continued with, evenly on both sides.
        mirror: array axes (0 z, 1 y, 2 x); each window's logits are averaged over all combinations of them, as
            nnU-Net does.

    Returns:
        float32 (K, Z, Y, X).
    """
    sides = stored_CZYX.shape[1:]
    before = [max(0, p - s) // 2 for p, s in zip(patch, sides, strict=True)]
    padded = _padded(stored_CZYX, empty_C, patch, before)
    size: Triple = (padded.shape[1], padded.shape[2], padded.shape[3])
    starts = window_starts(size, patch, overlap)
    weight = importance(patch)
    where = device if 4 * (num_outputs + 1) * math.prod(size) < _MOST_DEVICE_BYTES else torch.device("cpu")
    total, weights = torch.zeros((num_outputs, *size), device=where), torch.zeros(size, device=where)
    weight_here = weight.to(where)
    at_once = max(1, _BATCH_VOXELS[device.type] // math.prod(patch))
    for first in range(0, len(starts), at_once):
        boxes = [_box(start, patch) for start in starts[first : first + at_once]]
        windows = to_device(torch.stack([padded[box] for box in boxes]), device, precision)
        with autocast(device, precision):
            logits = mirrored(network, windows, mirror)
        for box, one in zip(boxes, logits.float().to(where), strict=True):
            total[box] += one * weight_here
            weights[box[1:]] += weight_here
    total /= weights
    return total[_box(before, sides)]


def window_starts(size: Triple, patch: Triple, overlap: float) -> list[Triple]:
    """Where windows start, z slowest: at even steps, the last drawn back to the end of the volume.

    Args:
        size: of the volume, along each axis no less than the patch.
    """
    along = []
    for side, window in zip(size, patch, strict=True):
        step = max(1, int(window * (1 - overlap)))
        num = 1 + math.ceil((side - window) / step)
        along.append([min(i * step, side - window) for i in range(num)])
    return list(itertools.product(*along))  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def importance(patch: Triple) -> Tensor:
    """Weights of a window's voxels, float32 on the host: a Gaussian about its centre, nowhere below a thousandth."""
    weight = torch.ones(())
    for side in patch:
        x = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        weight = weight[..., None] * torch.exp(x**2 / (-2 * (_SIGMA * side) ** 2))
    clamped: Tensor = weight.clamp(min=max(float(weight.min()), _LEAST_WEIGHT))
    return clamped


def mirrorings(mirror: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All combinations of axes, the empty one first."""
    return [axes for num in range(len(mirror) + 1) for axes in itertools.combinations(mirror, num)]


def mirrored(network: nn.Module, windows: Tensor, mirror: tuple[int, ...]) -> Tensor:
    """Float32 logits [B, K, Z, Y, X] of windows, averaged over all combinations of mirrored axes."""
    total: Tensor | None = None
    for axes in mirrorings(mirror):
        dims = [2 + axis for axis in axes]
        logits = network(windows.flip(dims)).flip(dims) if dims else network(windows)
        total = logits.float() if total is None else total + logits.float()
    assert total is not None
    mean: Tensor = total / 2 ** len(mirror)
    return mean


def _padded(stored_CZYX: Tensor, empty_C: NDArray[Any], patch: Triple, before: list[int]) -> Tensor:
    sides = stored_CZYX.shape[1:]
    after = [max(0, p - s - b) for p, s, b in zip(patch, sides, before, strict=True)]
    if not any([*before, *after]):
        return stored_CZYX
    pads = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
    return torch.stack(
        [F.pad(one, pads, value=float(empty)) for one, empty in zip(stored_CZYX, empty_C.tolist(), strict=True)]
    )


def _box(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    """All channels of a box."""
    return (slice(None), *(slice(s, s + p) for s, p in zip(start, size, strict=True)))
