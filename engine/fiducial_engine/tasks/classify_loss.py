"""The loss of classification: multi-label with a sigmoid per label, or exclusive classes with a softmax.

B samples, L labels. A label is 1, 0, or -1 for unknown. The loss of a step is the sum over the known labels of its
global batch divided by their number: a multi-label loss counts (sample, label) pairs, a loss over exclusive classes
counts samples. Unknown ones contribute nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fiducial_engine.config import BceLoss, CrossEntropyLoss, EngineClassify, FocalLoss, Loss
from fiducial_engine.errors import UserError
from fiducial_engine.sampling import PartRows

_MOST_POS_WEIGHT = 100.0
_MOST_CLASS_WEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Over the training split, per label: int64 (L,)."""

    positive_L: NDArray[np.int64]
    negative_L: NDArray[np.int64]

    def warnings(self, labels: tuple[str, ...]) -> list[str]:
        """One line for each label that training can't learn."""
        lines = []
        for name, positive, negative in zip(labels, self.positive_L, self.negative_L, strict=True):
            if positive + negative == 0:
                lines.append(f"Label {name}: unknown in every training case; it is not learned.")
            elif positive == 0 or negative == 0:
                only = "negative" if positive == 0 else "positive"
                lines.append(f"Label {name}: every known training case is {only}; it can't be learned.")
        return lines


def count_labels(labels_NL: NDArray[np.int8], rows: PartRows, task: EngineClassify) -> LabelCounts:
    """Count positives and negatives over a part, shard by shard.

    Raises:
        UserError: a case of an exclusive task has no class or several.
    """
    positive = np.zeros(len(task.labels), np.int64)
    negative = np.zeros(len(task.labels), np.int64)
    for shard in range(len(rows.count_per_shard)):
        label = labels_NL[rows.of_shard(shard)]
        positive += (label == 1).sum(0)
        negative += (label == 0).sum(0)
        known = (label >= 0).all(1)
        if task.exclusive and np.any((label[known] == 1).sum(1) != 1):
            raise UserError("task.exclusive: a training case has no class or several.\n  do: prepare the labels again.")
    return LabelCounts(positive, negative)


class ClassifyLoss:
    """The loss of each sample, and how many labels count in the divisor."""

    def __init__(self, task: EngineClassify, loss: Loss, counts: LabelCounts, device: torch.device) -> None:
        """
        Raises:
            UserError: the loss does not fit the task, or a list of weights does not fit its labels.
        """
        self._loss = loss
        self._exclusive = task.exclusive
        self._weight_L: Tensor | None = None
        if isinstance(loss, BceLoss):
            if task.exclusive:
                raise UserError("train.loss: bce is for labels that do not exclude each other; use cross_entropy.")
            auto = np.clip(counts.negative_L / np.maximum(counts.positive_L, 1), 0, _MOST_POS_WEIGHT)
            self._weight_L = _weights("train.loss.pos_weight", loss.pos_weight, auto, task, device)
        elif isinstance(loss, CrossEntropyLoss):
            if not task.exclusive:
                raise UserError("train.loss: cross_entropy is for exclusive labels; use bce, or task.exclusive: true.")
            total, num_classes = counts.positive_L.sum(), len(task.labels)
            auto = np.clip(total / (num_classes * np.maximum(counts.positive_L, 1)), 0, _MOST_CLASS_WEIGHT)
            self._weight_L = _weights("train.loss.class_weight", loss.class_weight, auto, task, device)
        elif not isinstance(loss, FocalLoss):
            raise UserError(f"train.loss: {loss.kind} is for segmentation; use bce, cross_entropy or focal.")
        elif loss.alpha is not None and task.exclusive:
            raise UserError("train.loss.alpha: weighs positives against negatives; exclusive labels have none.")

    def num_known(self, label_BL: Tensor) -> int:
        """What this batch adds to the divisor."""
        known = label_BL >= 0
        return int((known.all(1) if self._exclusive else known).sum())

    def per_sample(self, logits_BL: Tensor, label_BL: Tensor) -> Tensor:
        """Float32 (B,): each sample's loss summed over its known labels."""
        logits_BL = logits_BL.float()
        if self._exclusive:
            return self._exclusive_loss(logits_BL, label_BL)
        known_BL = label_BL >= 0
        target_BL = label_BL.clamp(min=0).to(logits_BL.dtype)
        if isinstance(self._loss, FocalLoss):
            loss_BL = _focal(logits_BL, target_BL, self._loss)
        else:
            loss_BL = F.binary_cross_entropy_with_logits(
                logits_BL, target_BL, reduction="none", pos_weight=self._weight_L
            )
        return loss_BL.masked_fill(~known_BL, 0).sum(1)

    def _exclusive_loss(self, logits_BL: Tensor, label_BL: Tensor) -> Tensor:
        known_B = (label_BL >= 0).all(1)
        target_B = label_BL.argmax(1)
        if isinstance(self._loss, FocalLoss):
            log_p_B = F.log_softmax(logits_BL, 1).gather(1, target_B[:, None])[:, 0]
            loss_B = -(_doubt(log_p_B.exp()) ** self._loss.gamma) * log_p_B
        else:
            assert isinstance(self._loss, CrossEntropyLoss)
            loss_B = F.cross_entropy(
                logits_BL,
                target_B,
                weight=self._weight_L,
                reduction="none",
                label_smoothing=self._loss.label_smoothing,
            )
        return loss_B.masked_fill(~known_B, 0)


def scores(logits_NL: NDArray[np.float32], task: EngineClassify) -> NDArray[np.float64]:
    """Probabilities in float64: softmax of exclusive labels, else a sigmoid each."""
    z = logits_NL.astype(np.float64)
    if task.exclusive:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        exclusive: NDArray[np.float64] = e / e.sum(axis=1, keepdims=True)
        return exclusive
    # Both branches avoid overflow, and agree at 0.
    small = np.exp(-np.abs(z))
    each: NDArray[np.float64] = np.where(z >= 0, 1 / (1 + small), small / (1 + small))
    return each


def _weights(
    key: str,
    asked: str | tuple[float, ...],
    auto: NDArray[np.float64],
    task: EngineClassify,
    device: torch.device,
) -> Tensor | None:
    if asked == "none":
        return None
    values = auto if asked == "auto" else np.asarray(asked, dtype=np.float64)
    if len(values) != len(task.labels):
        raise UserError(f"{key}: {len(values)} weights for {len(task.labels)} labels.")
    if not all(math.isfinite(v) and v >= 0 for v in values):
        raise UserError(f"{key}: weights must be finite and not negative; found {list(values)}.")
    return torch.tensor(values, dtype=torch.float32, device=device)


def _focal(logits_BL: Tensor, target_BL: Tensor, loss: FocalLoss) -> Tensor:
    """Lin et al., Focal Loss for Dense Object Detection, ICCV 2017."""
    bce = F.binary_cross_entropy_with_logits(logits_BL, target_BL, reduction="none")
    p_true = torch.exp(-bce)
    weighed = _doubt(p_true) ** loss.gamma * bce
    if loss.alpha is None:
        return weighed
    return weighed * (loss.alpha * target_BL + (1 - loss.alpha) * (1 - target_BL))


def _doubt(p: Tensor) -> Tensor:
    """1 - p, never quite 0, where a power below 1 has no gradient: a sure sample's would not be a number."""
    return (1 - p).clamp(min=1e-7)
