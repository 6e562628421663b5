"""Batches ahead of need: threads gather samples from memory-mapped shards into host memory while the device works."""

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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fiducial_engine.sampling import Rows, Sampler
from fiducial_engine.shards import ShardSet

# Steps are read in chunks of about this much: handing a batch from thread to thread costs as much as gathering 1 MB.
_CHUNK_BYTES = 16 << 20
_MOST_STEPS = 16
_CHUNKS_AHEAD = 2
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass of one rank reads, ascending by row. B samples, L labels."""

    image_BCHW: Tensor  # Stored dtype, host memory; pinned when the device is a GPU.
    label_BL: Tensor  # int8: 1, 0, -1 unknown.
    rows_B: Rows
    positions_B: Rows


def read_batches(
    shards: ShardSet,
    labels_NL: NDArray[np.int8],
    rows_B: Rows,
    positions_B: Rows,
    sizes: list[int],
    *,
    pin: bool,
    memory: Tensor | None = None,
) -> tuple[list[Batch], Tensor]:
    """Gather samples, with their labels, as batches of the given sizes, ascending by row within each.

    Args:
        sizes: of the batches, in the order of `rows_B`; they add up to its length.
        memory: written to where it has the samples' shape.

    Returns:
        The batches and the memory that holds the pixels of all of them.
    """
    shape = (len(rows_B), *shards.index.sample_shape)
    if memory is None or memory.shape != shape:
        dtype = torch.uint8 if shards.dtype == np.uint8 else torch.int16
        memory = torch.empty(shape, dtype=dtype, pin_memory=pin)
    order = np.lexsort((rows_B, np.repeat(np.arange(len(sizes)), sizes)))
    rows_B, positions_B = rows_B[order], positions_B[order]
    label_BL = torch.from_numpy(labels_NL[rows_B])
    if pin:
        label_BL = label_BL.pin_memory()
    pixels = memory.numpy()
    batches = []
    for low, high in pairwise(itertools.accumulate([0, *sizes])):
        shards.gather(rows_B[low:high], pixels[low:high])
        batches.append(Batch(memory[low:high], label_BL[low:high], rows_B[low:high], positions_B[low:high]))
    return batches, memory


class Loader:
    """Iterates over steps: this rank's micro-batches of each. Counts the seconds that others waited for them.

    A step's pixels may be overwritten once the next step is asked for.
    """

    def __init__(
        self,
        shards: ShardSet,
        labels_NL: NDArray[np.int8],
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
        sample_bytes = shards.dtype.itemsize * math.prod(shards.index.sample_shape)
        step_bytes = sample_bytes * math.ceil(sampler.global_batch / world_size)
        num_steps = max(1, min(_MOST_STEPS, _CHUNK_BYTES // step_bytes))
        self._chunks = [
            range(first, min(end_step, first + num_steps)) for first in range(first_step, end_step, num_steps)
        ]
        # Memory is used again: the page faults of fresh memory cost as much as gathering. One slot is in use, the
        # others are being filled or wait. Pinned memory is torch's own to use again: only it knows when the device has
        # read it.
        slots: list[Tensor | None] = [None] * (_CHUNKS_AHEAD + 1)

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
            batches, memory = read_batches(shards, labels_NL, rows, positions, sizes, pin=pin, memory=slots[slot])
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
