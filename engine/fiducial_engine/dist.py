"""Ranks: who this process is among them, and the few things they tell each other. torchrun is the only contract."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

_TIMEOUT = timedelta(minutes=30)  # A first epoch may compile, or page shards in, on one rank alone.


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among `size`; one process is a world of its own, without a process group."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @staticmethod
    def from_environment() -> Ranks:
        """As torchrun sets it; a plain start is rank 0 of 1."""
        env = {k: int(os.environ.get(k, d)) for k, d in _ENVIRONMENT.items()}
        return Ranks(
            rank=env["RANK"],
            size=env["WORLD_SIZE"],
            local_rank=env["LOCAL_RANK"],
            local_size=env["LOCAL_WORLD_SIZE"],
        )

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """The process group while the block runs: gloo on the host, NCCL between GPUs."""
        if self.size == 1:
            yield
            return
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=_TIMEOUT)
        yield
        # Only at a good end: a rank that failed leaves at once, without waiting for what others will not do.
        dist.destroy_process_group()

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Gradients averaged over ranks in the backward pass; buffers follow rank 0."""
        if self.size == 1:
            return network
        # find_unused_parameters keeps the buckets as they are. Rebuilt after the first step, they would add gradients
        # in another order than a run that was not resumed; on the CPU the promise is equality to the bit.
        return DistributedDataParallel(
            network,
            device_ids=[device.index] if device.type == "cuda" else None,
            find_unused_parameters=device.type == "cpu",
            gradient_as_bucket_view=True,
        )

    def sum_on_host(self, values: Sequence[float]) -> Summing:
        """Start summing a few numbers over ranks; the answer is waited for when it is needed."""
        return Summing(values, self.size)

    def sum(self, x: Tensor) -> Tensor:
        """Sum a tensor over ranks, on its device."""
        if self.size > 1:
            dist.all_reduce(x)
        return x

    def from_first(self, value: Any) -> Any:
        """Rank 0's value, on every rank."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, on every rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def gather_strided(self, mine_NL: Tensor, total: int) -> Tensor:
        """Rows that were dealt out as total[rank::size], together and in order again, on every rank.

        Args:
            mine_NL: this rank's rows, in host memory.
        """
        if self.size == 1:
            return mine_NL
        most = -(-total // self.size)
        padded = mine_NL.new_zeros((most, *mine_NL.shape[1:]))
        padded[: len(mine_NL)] = mine_NL
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.stack(parts, dim=1).flatten(0, 1)[:total]

    def broadcast_buffers(self, network: nn.Module) -> None:
        """Batch-norm statistics of rank 0, on every rank: those are the ones saved."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)


class Summing:
    """A sum over ranks that is under way."""

    def __init__(self, values: Sequence[float], world_size: int) -> None:
        self._values = torch.tensor(values, dtype=torch.float64)
        self._work = dist.all_reduce(self._values, async_op=True) if world_size > 1 else None

    def wait(self) -> list[float]:
        if self._work is not None:
            self._work.wait()
        values: list[float] = self._values.tolist()
        return values


def without_sync(model: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Ranks exchange gradients in the last backward pass of a step only."""
    if last or not isinstance(model, DistributedDataParallel):
        return nullcontext()
    context: AbstractContextManager[None] = model.no_sync()
    return context


_ENVIRONMENT = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
