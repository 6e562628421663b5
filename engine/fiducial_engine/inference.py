"""Logits for rows of the shard set, and prediction lines from them. N cases, L labels."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fiducial_engine.config import EngineTask, TableCase
from fiducial_engine.device import autocast, memory_format
from fiducial_engine.loader import read_batches
from fiducial_engine.sampling import Rows
from fiducial_engine.shards import ShardSet, Tables, file_sha256
from fiducial_engine.tasks.classify import scores

_SIGN_OF_LIFE_SECONDS = 30.0  # The agent's watchdog ends ranks that stay silent for launch.watchdog_seconds.
PART_CODES = {"train": 1, "val": 2, "test": 3}


@torch.no_grad()
def logits_of_rows(
    network: nn.Module,
    shards: ShardSet,
    tables: Tables,
    rows_N: Rows,
    device: torch.device,
    *,
    precision: str,
    rank: int = 0,
    world_size: int = 1,
) -> Tensor:
    """Float32 logits, in host memory, of this rank's share rows_N[rank::world_size] of ascending rows, unpadded."""
    mine = rows_N[rank::world_size]
    batch_size = 64 if device.type == "cpu" else 256
    was_training = network.training
    network.eval()
    parts = [torch.empty((0, tables.labels_NL.shape[1]))]
    said = time.monotonic()
    for at in range(0, len(mine), batch_size):
        rows = mine[at : at + batch_size]
        [batch], _ = read_batches(shards, tables.labels_NL, rows, rows, [len(rows)], pin=device.type == "cuda")
        with autocast(device, precision):
            logits = network(to_device(batch.image_BCHW, device, precision))
        parts.append(logits.float().cpu())
        if time.monotonic() - said > _SIGN_OF_LIFE_SECONDS:
            said = time.monotonic()
            print(f"scored {at + len(rows)} of {len(mine)} cases", file=sys.stderr, flush=True)
    network.train(was_training)
    return torch.cat(parts)


def to_device(image_BCHW: Tensor, device: torch.device, precision: str) -> Tensor:
    """Stored values on the device, laid out as its convolutions read them."""
    # Only pinned memory, which CUDA's copies have, is kept until it was read; elsewhere the loader would overwrite it.
    moved = image_BCHW.to(device, non_blocking=device.type == "cuda")
    return moved.to(memory_format=memory_format(device, precision))


def write_predictions(path: Path, cases: Iterable[TableCase], logits_NL: NDArray[np.float32], task: EngineTask) -> int:
    """Write one `Prediction` a line, the file whole or not at all; then its sha256 beside it, as `sha256sum` does.

    Returns:
        The number of lines.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    checksum = path.with_name(f"{path.name}.sha256")
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    num = 0
    with temporary.open("w", encoding="utf-8") as file:
        for case, logits, score in zip(cases, logits_NL, scores(logits_NL, task), strict=True):
            line = {
                "case_id": case.case_id,
                "patient_id": case.patient_id,
                "labels": {name: case.labels[name] for name in task.labels},
                "logits": dict(zip(task.labels, logits.tolist(), strict=True)),
                "scores": dict(zip(task.labels, score.tolist(), strict=True)),
                "attributes": case.attributes,
            }
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            num += 1
        file.flush()
        os.fsync(file.fileno())
    digest = file_sha256(temporary)
    # A kill in between leaves predictions without a checksum, never with that of others.
    checksum.unlink(missing_ok=True)
    temporary.rename(path)
    temporary.write_text(f"{digest}  {path.name}\n")
    temporary.rename(checksum)
    return num
