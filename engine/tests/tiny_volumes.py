"""A set of volumes with masks, made in a moment: what `prepare` leaves for the engine, small.

Each case is noise about a bright ball and a dark box, of unequal sides; every fourth case lacks the box.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tiny_set import LABELS_ID, SET_ID, SPLIT_ID, make_run, write_tables

EXAMPLE = Path(__file__).parents[2] / "src" / "schema" / "examples" / "run" / "valid" / "segment-volumes.json"
STRUCTURES = [{"name": "ball", "values": [1]}, {"name": "box", "values": [3]}]
NAMES = tuple(str(s["name"]) for s in STRUCTURES)
SPACING_MM = [1.5, 1.0, 1.25]
PATCH = [16, 12, 8]
_MOST_FOREGROUND = 50

UNET = {
    **{"family": "unet3d", "channels": [8, 16], "residual_units": 1, "norm": "instance", "dropout": 0},
    "weights": "none",
}
NO_AUGMENT = {
    **{"kind": "volume", "flip": [], "rotate": 0, "rotate_degrees": 30, "scale": 0, "scale_range": [0.7, 1.4]},
    **{"elastic": 0, "elastic_mm": 4, "noise": 0, "noise_std": 0.1, "blur": 0, "blur_sigma": [0.5, 1]},
    **{"brightness": 0, "brightness_range": [0.75, 1.25], "shift": 0, "shift_std": 0.1},
    **{"contrast": 0, "contrast_range": [0.75, 1.25], "low_resolution": 0, "low_resolution_range": [0.5, 1]},
    **{"gamma": 0, "gamma_range": [0.7, 1.5]},
}


def make_volumes(
    folder: Path,
    *,
    num: int = 20,
    channels: int = 1,
    dtype: str = "float16",
    size: tuple[int, int, int] | None = None,
    has_masks: bool = True,
    part_N: NDArray[np.uint8] | None = None,
    brick: tuple[int, int, int] | None = None,
) -> dict[str, Any]:
    """Write a set; return run.json's `data`. Parts go 3:1:1. With `size` every case has it, else each its own."""
    rng = np.random.default_rng(7)
    part_N = np.array([1, 1, 1, 2, 3], dtype=np.uint8)[np.arange(num) % 5] if part_N is None else part_N
    presence = np.ones((num, 2), np.int8)
    presence[::4, 1] = 0
    offset, scale = {"uint8": (0, 1 / 255), "int16": (32768, 1 / 65535)}.get(dtype, (0, 1))
    mean, std = (0.4, 0.2) if scale < 1 else (0.0, 1.0)
    entries = []
    (folder / "shards").mkdir(parents=True)
    for row in range(num):
        sides = size or (18 + row % 3, 10 + row % 5, 9 + row % 2)
        image, mask = _case(rng, channels, sides, has_box=bool(presence[row, 1]))
        stored = (image * std + mean) / scale - offset
        if np.issubdtype(np.dtype(dtype), np.integer):
            info = np.iinfo(dtype)
            stored = np.clip(np.round(stored), info.min, info.max)
        tensors = voxel_tensors("image", stored.astype(dtype), brick)
        if has_masks:
            tensors |= {**voxel_tensors("mask", mask, brick), "foreground": foreground(mask)}
        file = f"shards/{row:05d}.safetensors"
        save_file(tensors, folder / file)
        data = (folder / file).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        entries.append({"file": file, "num_cases": 1, "bytes": len(data), "sha256": digest})
    write_tables(folder / "tables", NAMES, presence, part_N)
    preprocess = {
        **{"kind": "volume", "channels": channels, "orientation": "RAS", "spacing_mm": SPACING_MM},
        **{"resample": "linear", "crop": "none", "size": None if size is None else list(size)},
        **{"intensity": [{"kind": "zscore"}] * channels, "dtype": dtype},
    }
    index = {
        **{"kind": "volumes", "format": 1, "set_id": SET_ID, "preprocess": preprocess, "dtype": dtype},
        **{"has_masks": has_masks, "code_version": 1, "num_cases": num, "shards": entries},
        "brick": None if brick is None else list(brick),
    }
    (folder / "index.json").write_text(json.dumps(index))
    return {
        **{"kind": "volumes", "shard_set": str(folder)},
        **{"set_id": SET_ID, "labels_id": LABELS_ID, "split_id": SPLIT_ID},
        "normalization": {"offset": offset, "scale": scale, "mean": [mean] * channels, "std": [std] * channels},
        **{"channels": channels, "size": None if size is None else list(size), "spacing_mm": SPACING_MM},
        "dtype": dtype,
    }


def voxel_tensors(name: str, values: NDArray[Any], brick: tuple[int, int, int] | None) -> dict[str, NDArray[Any]]:
    """As prepare stores an array: plainly, or deflated in bricks."""
    if brick is None:
        return {name: values}
    parts = []
    for channel in values.reshape(-1, *values.shape[-3:]):
        for low in itertools.product(*(range(0, side, b) for side, b in zip(channel.shape, brick, strict=True))):
            z, y, x = (slice(a, a + b) for a, b in zip(low, brick, strict=True))
            parts.append(zlib.compress(np.ascontiguousarray(channel[z, y, x]).tobytes(), 1))
    return {
        f"{name}_bricks": np.frombuffer(b"".join(parts), np.uint8),
        f"{name}_ends": np.cumsum([len(part) for part in parts], dtype=np.int64),
        f"{name}_shape": np.array(values.shape, np.int64),
    }


def make_segment_run(run_dir: Path, data: dict[str, Any], **changes: Any) -> Path:
    """A run that segments: run.json of the shared example, small."""
    small = {
        "task__structures": STRUCTURES,
        "task__patch_size": PATCH,
        "augment": NO_AUGMENT,
        "train__loss": {"kind": "dice_ce", "batch": False, "background": False, "ce_weight": 1},
        "train__global_batch": 4,
        "model": UNET,
    }
    return make_run(run_dir, data, example=EXAMPLE, **{**small, **changes})


def foreground(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Rows of [mask value, z, y, x], evenly taken where a value has many voxels."""
    rows = [np.empty((0, 4), np.int32)]
    for value in np.unique(mask[mask > 0]):
        found = np.argwhere(mask == value)
        taken = found[np.arange(min(len(found), _MOST_FOREGROUND)) * len(found) // min(len(found), _MOST_FOREGROUND)]
        rows.append(np.concatenate([np.full((len(taken), 1), value), taken], axis=1).astype(np.int32))
    return np.concatenate(rows)


def _case(
    rng: np.random.Generator, channels: int, sides: tuple[int, int, int], *, has_box: bool
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    z, y, x = np.indices(sides)
    centre = [rng.uniform(4, side - 4) for side in sides]
    ball = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < 9
    low = [int(rng.integers(0, side - 3)) for side in sides]
    box = np.zeros(sides, bool)
    box[low[0] : low[0] + 4, low[1] : low[1] + 3, low[2] : low[2] + 3] = has_box
    mask = np.zeros(sides, np.uint8)
    mask[box], mask[ball] = 3, 1
    signal = np.where(mask == 1, 2.0, np.where(mask == 3, -2.0, 0.0))
    return signal + rng.normal(0, 0.3, (channels, *sides)), mask
