"""Ends a run whose loss, gradient or output is not a number, naming the cases."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fiducial_engine.dist import Ranks
from fiducial_engine.errors import UserError
from fiducial_engine.loader import Batch
from fiducial_engine.sampling import Rows
from fiducial_engine.shards import Tables


class FiniteCheck:
    """Stops the run at the first loss or gradient that is not a number; looks a few steps late on a GPU."""

    def __init__(self, tables: Tables, ranks: Ranks) -> None:
        self._tables = tables
        self._ranks = ranks
        self._pending: list[tuple[int, Tensor, list[Tensor], list[Batch]]] = []

    def add(self, step: int, loss: Tensor, norm: Tensor | None, losses: list[Tensor], batches: list[Batch]) -> None:
        total = loss if norm is None else loss + 0 * norm
        self._pending.append((step, total, losses, batches))

    def check(self) -> None:
        """
        Raises:
            UserError: naming the step and the cases; raised on every rank alike.
        """
        for step, total, losses, batches in self._pending:
            if math.isfinite(float(total)):
                continue
            bad = [b.rows_B[~torch.isfinite(x).cpu().numpy()] for x, b in zip(losses, batches, strict=True)]
            rows = np.unique(np.concatenate(self._ranks.gather(np.concatenate(bad))))
            what, which = ("loss", "its cases") if len(rows) > 0 else ("gradient", "the batch's cases")
            if len(rows) == 0:
                rows = np.unique(np.concatenate(self._ranks.gather(np.concatenate([b.rows_B for b in batches]))))
            raise UserError(
                f"The {what} of step {step + 1} is not finite; {which}: {_named(self._tables, rows)}.\n"
                "  do: look at those images and labels; lower train.lr, set train.clip_norm, or train.precision: fp32."
            )
        self._pending.clear()


def check_outputs(is_finite_N: NDArray[np.bool_], tables: Tables, rows_N: Rows, checkpoint: str) -> None:
    """Look at whether the outputs of ascending rows are finite, before anything is computed from them.

    Args:
        checkpoint: whose outputs they are, for the message.

    Raises:
        UserError: some are not, as when fp16 overflows; the cases are named.
    """
    bad = rows_N[~is_finite_N]
    if len(bad) > 0:
        raise UserError(
            f"The network of {checkpoint} gives outputs that are not finite; its cases: {_named(tables, bad)}.\n"
            "  do: look at those images; train again with a lower train.lr, or with train.precision: fp32."
        )


def _named(tables: Tables, rows: Rows) -> str:
    ids = [case.case_id for case in tables.cases(rows[:10])]
    return ", ".join(ids) + (f" and {len(rows) - 10} more" if len(rows) > 10 else "")
