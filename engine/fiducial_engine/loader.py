"""Batches ahead of need: a thread gathers samples from memory-mapped shards into host memory while the device works."""

from __future__ import annotations

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

_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass of one rank reads, ascending by row. B samples, L labels."""

    image_BCHW: Tensor  # Stored dtype, host memory; pinned when the device is a GPU.
    label_BL: Tensor  # int8: 1, 0, -1 unknown.
    rows_B: Rows
    positions_B: Rows


def read_batch(
    shards: ShardSet,
    labels_NL: NDArray[np.int8],
    rows_B: Rows,
    positions_B: Rows,
    *,
    pin: bool,
    memory: Tensor | None = None,
) -> Batch:
    """Gather the samples of ascending rows, with their labels, into `memory` where it has their shape."""
    shape = (len(rows_B), *shards.index.sample_shape)
    if memory is None or memory.shape != shape:
        dtype = torch.uint8 if shards.dtype == np.uint8 else torch.int16
        memory = torch.empty(shape, dtype=dtype, pin_memory=pin)
    shards.gather(rows_B, memory.numpy())
    label = torch.from_numpy(labels_NL[rows_B])
    return Batch(memory, label.pin_memory() if pin else label, rows_B, positions_B)


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
        self._queue: queue.Queue[list[Batch] | BaseException | None] = queue.Queue(_DEPTH)
        self._closed = threading.Event()
        # Memory is used again: the page faults of fresh memory cost as much as gathering. One slot is being filled,
        # one is in use, the others wait in the queue. Pinned memory is torch's own to use again: only it knows when
        # the device has read it.
        slots: list[dict[int, Tensor]] = [{} for _ in range(_DEPTH + 2)]

        def read(step: int) -> list[Batch]:
            positions = sampler.positions(step, rank, world_size)
            rows = sampler.rows_at(positions)
            slot, batches = slots[step % len(slots)], []
            cuts = [len(rows) * i // accumulate for i in range(accumulate + 1)]
            for number, (low, high) in enumerate(pairwise(cuts)):
                at = low + np.argsort(rows[low:high], kind="stable")
                used = slot.get(number)
                batch = read_batch(shards, labels_NL, rows[at], positions[at], pin=pin, memory=used)
                if not pin:
                    slot[number] = batch.image_BCHW
                batches.append(batch)
            return batches

        def read_ahead() -> None:
            try:
                for step in range(first_step, end_step):
                    if not self._put(read(step)):
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
            yield item

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

    def _put(self, item: list[Batch] | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
