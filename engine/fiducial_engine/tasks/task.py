"""What training, prediction and export ask of a task; tasks/registry.py names the tasks there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from fiducial_engine.config import RunConfig
from fiducial_engine.dist import Ranks
from fiducial_engine.loader import Batch, Samples
from fiducial_engine.sampling import PartRows, Rows
from fiducial_engine.select import Metrics
from fiducial_engine.shards import Tables


@dataclass(frozen=True, slots=True)
class Shapes:
    """Of one sample: what a network takes and gives, without the batch."""

    input: tuple[int, ...]
    output: tuple[int, ...]


class Task(Protocol):
    """A run's data and what is learned from them. B samples, N cases."""

    @property
    def tables(self) -> Tables: ...

    @property
    def shard_start(self) -> Rows:
        """First row of each shard, and one past the end."""

    @property
    def samples(self) -> Samples:
        """What training reads."""

    @property
    def predicts_validation(self) -> bool:
        """Whether training leaves predictions/val.jsonl of the best checkpoint."""

    def prepare_training(self, train_rows: PartRows) -> list[str]:
        """Look at the training split; returns a warning for each thing that it can't teach.

        Raises:
            UserError: the loss does not fit the task or its labels.
        """

    def augmented(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A training batch on the device: stored values that the network takes, and what they should give."""

    def num_known(self, target: Tensor) -> int:
        """What a batch adds to the divisor of the loss."""

    def loss_per_sample(self, outputs: Any, target: Tensor) -> Tensor:
        """Float32 (B,) of what the network gave."""

    def validate(self, network: nn.Module, rows_N: Rows, ranks: Ranks, precision: str, where: str) -> Metrics:
        """Metrics of ascending rows, shared among ranks; on rank 0, elsewhere empty.

        Args:
            where: whose network it is, for messages.
        """

    def predict(
        self, network: nn.Module, rows_N: Rows, ranks: Ranks, out: Path, where: str, *, mirror: tuple[int, ...] = ()
    ) -> int:
        """Write predictions in full float32, whole or not at all, on rank 0; returns how many.

        Args:
            mirror: array axes (0 z, 1 y, 2 x) along which inputs are mirrored and results averaged as well.
        """


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of task, without its data."""

    output: Literal["labels", "mask"]
    network_shapes: Callable[[RunConfig], Shapes]
    open: Callable[[RunConfig, torch.device], Task]
