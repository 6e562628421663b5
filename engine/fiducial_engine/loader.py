"""Batches ahead of need: a thread gathers samples from memory-mapped shards into host memory while the device works."""

from __future__ import annotations

import itertools
import math
import queue
import threading
import time
from collections.abc import Iterator
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
_MOST_STEPS = 8
_CHUNKS_AHEAD = 2


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
        self._queue: queue.Queue[list[list[Batch]] | BaseException | None] = queue.Queue(_CHUNKS_AHEAD)
        self._closed = threading.Event()
        sample_bytes = shards.dtype.itemsize * math.prod(shards.index.sample_shape)
        step_bytes = sample_bytes * math.ceil(sampler.global_batch / world_size)
        num_steps = max(1, min(_MOST_STEPS, _CHUNK_BYTES // step_bytes))
        # Memory is used again: the page faults of fresh memory cost as much as gathering. One slot is being filled,
        # one is in use, the others wait in the queue. Pinned memory is torch's own to use again: only it knows when
        # the device has read it.
        slots: list[Tensor | None] = [None] * (_CHUNKS_AHEAD + 2)

        def read(chunk: int, steps: range) -> list[list[Batch]]:
            positions_of = [sampler.positions(step, rank, world_size) for step in steps]
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

        def read_ahead() -> None:
            try:
                for chunk, first in enumerate(range(first_step, end_step, num_steps)):
                    if not self._put(read(chunk, range(first, min(end_step, first + num_steps)))):
                        return
                self._put(None)
            except BaseException as error:  # Raised again where the batch is asked for.
                self._put(error)

        self._thread = threading.Thread(target=read_ahead, name="loader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[list[Batch]]:
        while True:
            asked = time.perf_counter()
            item = self._queue.get()
            self.wait_seconds += time.perf_counter() - asked
            if item is None:
                self._thread.join()
                return
            if isinstance(item, BaseException):
                raise item
            yield from item

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading ahead. A thread that is still there when the interpreter ends would abort it."""
        self._closed.set()
        self._thread.join()

    def _put(self, item: list[list[Batch]] | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
