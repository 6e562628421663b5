"""Batches ahead of need: threads read samples from memory-mapped shards into host memory while the device works."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fiducial_engine.sampling import Rows, Sampler

# Steps are read in chunks of about this much: handing a batch from thread to thread costs as much as gathering 1 MB.
_CHUNK_BYTES = 16 << 20
_MOST_STEPS = 16
_CHUNKS_AHEAD = 2
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass of one rank reads, ascending by row. B samples."""

    image: Tensor  # (B, C, …) of the stored type, host memory; pinned when the device is a GPU.
    target: Tensor  # (B, …): what the task learns from, int8 labels or uint8 masks.
    rows_B: Rows
    positions_B: Rows


class Samples(Protocol):
    """What a task reads for each position of the training sequence."""

    @property
    def image_shape(self) -> tuple[int, ...]: ...

    @property
    def image_dtype(self) -> torch.dtype: ...

    @property
    def target_shape(self) -> tuple[int, ...]: ...

    @property
    def target_dtype(self) -> torch.dtype: ...

    def read(self, rows_B: Rows, positions_B: Rows, image: NDArray[Any], target: NDArray[Any]) -> None:
        """Fill the memory of B samples, ascending by row. Threads may call it at once."""


@dataclass(frozen=True, slots=True)
class _Memory:
    image: Tensor
    target: Tensor


def read_batches(
    samples: Samples, rows_B: Rows, positions_B: Rows, sizes: list[int], *, pin: bool, memory: _Memory | None = None
) -> tuple[list[Batch], _Memory]:
    """Read samples as batches of the given sizes, ascending by row within each.

    Args:
        sizes: of the batches, in the order of `rows_B`; they add up to its length.
        memory: written to where it has room for as many samples.

    Returns:
        The batches and the memory that holds all of them.
    """
    num = len(rows_B)
    if memory is None or len(memory.image) != num:
        memory = _Memory(
            torch.empty((num, *samples.image_shape), dtype=samples.image_dtype, pin_memory=pin),
            torch.empty((num, *samples.target_shape), dtype=samples.target_dtype, pin_memory=pin),
        )
    order = np.lexsort((rows_B, np.repeat(np.arange(len(sizes)), sizes)))
    rows_B, positions_B = rows_B[order], positions_B[order]
    image, target = memory.image.numpy(), memory.target.numpy()
    batches = []
    for low, high in pairwise(itertools.accumulate([0, *sizes])):
        rows, positions = rows_B[low:high], positions_B[low:high]
        samples.read(rows, positions, image[low:high], target[low:high])
        batches.append(Batch(memory.image[low:high], memory.target[low:high], rows, positions))
    return batches, memory


class Loader:
    """Iterates over steps: this rank's micro-batches of each. Counts the seconds that others waited for them.

    A step's samples may be overwritten once the next step is asked for.
    """

    def __init__(
        self,
        samples: Samples,
        sampler: Sampler,
        *,
        first_step: int,
        end_step: int,
        accumulate: int = 1,
        rank: int = 0,
        world_size: int = 1,
        pin: bool = False,
    ) -> None:
        self.wait_seconds = 0.0
        sample_bytes = samples.image_dtype.itemsize * math.prod(samples.image_shape)
        sample_bytes += samples.target_dtype.itemsize * math.prod(samples.target_shape)
        step_bytes = sample_bytes * math.ceil(sampler.global_batch / world_size)
        num_steps = max(1, min(_MOST_STEPS, _CHUNK_BYTES // step_bytes))
        self._chunks = [
            range(first, min(end_step, first + num_steps)) for first in range(first_step, end_step, num_steps)
        ]
        # Memory is used again: the page faults of fresh memory cost as much as gathering. One slot is in use, the
        # others are being filled or wait. Pinned memory is torch's own to use again: only it knows when the device has
        # read it.
        slots: list[_Memory | None] = [None] * (_CHUNKS_AHEAD + 1)

        def read(chunk: int) -> list[list[Batch]]:
            positions_of = [sampler.positions(step, rank, world_size) for step in self._chunks[chunk]]
            positions = np.concatenate(positions_of)
            sizes = [
                len(one) * (i + 1) // accumulate - len(one) * i // accumulate
                for one in positions_of
                for i in range(accumulate)
            ]
            slot = chunk % len(slots)
            rows = sampler.rows_at(positions)
            batches, memory = read_batches(samples, rows, positions, sizes, pin=pin, memory=slots[slot])
            if not pin:
                slots[slot] = memory
            return [batches[i : i + accumulate] for i in range(0, len(batches), accumulate)]

        self._read = read
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="loader")
        self._ahead = deque(self._threads.submit(read, chunk) for chunk in range(min(_CHUNKS_AHEAD, len(self._chunks))))

    def __iter__(self) -> Iterator[list[Batch]]:
        for chunk in range(len(self._chunks)):
            asked = time.perf_counter()
            steps = self._ahead.popleft().result()
            self.wait_seconds += time.perf_counter() - asked
            # The chunk before this one is done with, and its memory free.
            if chunk + _CHUNKS_AHEAD < len(self._chunks):
                self._ahead.append(self._threads.submit(self._read, chunk + _CHUNKS_AHEAD))
            yield from steps

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading ahead, and wait for what is being read."""
        self._threads.shutdown(cancel_futures=True)
