"""Logits for rows of a shard set, and prediction lines from them. N cases, L labels."""

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

from fiducial_engine.config import EngineClassify, TableCase
from fiducial_engine.device import autocast, memory_format
from fiducial_engine.loader import Samples, read_batches
from fiducial_engine.sampling import Rows
from fiducial_engine.shards import file_sha256
from fiducial_engine.tasks.classify_loss import scores

_SIGN_OF_LIFE_SECONDS = 30.0  # The agent's watchdog ends ranks that stay silent for launch.watchdog_seconds.
_CHUNK_BYTES = 32 << 20
PART_CODES = {"train": 1, "val": 2, "test": 3}


class Said:
    """Tells on stderr, now and then, how far scoring has come."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._said = time.monotonic()

    def done(self, num: int) -> None:
        if time.monotonic() - self._said > _SIGN_OF_LIFE_SECONDS:
            self._said = time.monotonic()
            print(f"scored {num} of {self._total} cases", file=sys.stderr, flush=True)


@torch.no_grad()
def logits_of_rows(
    network: nn.Module, samples: Samples, rows_N: Rows, device: torch.device, precision: str, num_labels: int
) -> Tensor:
    """Float32 logits (N, L), in host memory, of ascending rows, unpadded and not augmented."""
    sample_bytes = samples.image_dtype.itemsize * int(np.prod(samples.image_shape))
    batch_size = max(1, min(64 if device.type == "cpu" else 256, _CHUNK_BYTES // sample_bytes))
    was_training = network.training
    network.eval()
    parts = [torch.empty((0, num_labels))]
    said = Said(len(rows_N))
    for at in range(0, len(rows_N), batch_size):
        rows = rows_N[at : at + batch_size]
        [batch], _ = read_batches(samples, rows, rows, [len(rows)], pin=device.type == "cuda")
        with autocast(device, precision):
            logits = network(to_device(batch.image, device, precision))
        parts.append(logits.float().cpu())
        said.done(at + len(rows))
    network.train(was_training)
    return torch.cat(parts)


def to_device(image: Tensor, device: torch.device, precision: str) -> Tensor:
    """Stored values (B, C, …) on the device, laid out as its convolutions read them."""
    # Only pinned memory, which CUDA's copies have, is kept until it was read; elsewhere the loader would overwrite it.
    moved = image.to(device, non_blocking=device.type == "cuda")
    return moved.to(memory_format=memory_format(device, precision, image.ndim - 2))


def write_scores(path: Path, cases: Iterable[TableCase], logits_NL: NDArray[np.float32], task: EngineClassify) -> None:
    """Write one `Prediction` a line, the file whole or not at all; then its sha256 beside it, as `sha256sum` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    checksum = path.with_name(f"{path.name}.sha256")
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
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
        file.flush()
        os.fsync(file.fileno())
    digest = file_sha256(temporary)
    # A kill in between leaves predictions without a checksum, never with that of others.
    checksum.unlink(missing_ok=True)
    temporary.rename(path)
    temporary.write_text(f"{digest}  {path.name}\n")
    temporary.rename(checksum)
