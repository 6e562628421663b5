"""Losses of segmentation, a number a sample, in float32 whatever the network computed in.

B samples, K outputs, V voxels (one axis of all). Each sample's loss does not depend on the others', so that any way to
share a batch among ranks and passes gives the same sum; but for `batch: true`, where a pass is one sample.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fiducial_engine.config import DiceCeLoss, DiceLoss, EngineSegment, GeneralizedDiceLoss, Loss
from fiducial_engine.errors import UserError

_SMOOTH = 1e-5  # As nnU-Net's and MONAI's.


class SegmentLoss:
    """Soft overlap of probabilities and masks."""

    def __init__(self, task: EngineSegment, loss: Loss) -> None:
        """
        Raises:
            UserError: the loss is not for segmentation, or counts a background that regions don't have.
        """
        if not isinstance(loss, (DiceLoss, DiceCeLoss, GeneralizedDiceLoss)):
            raise UserError(f"train.loss: {loss.kind} is for classification; use dice_ce, dice or generalized_dice.")
        self._loss = loss
        self._exclusive = task.exclusive
        self._has_background = loss.background and task.exclusive
        # Mask value → which outputs are 1 there, (256, K).
        num = len(task.structures)
        table = torch.zeros((256, num + 1 if task.exclusive else num))
        if task.exclusive:
            table[:, 0] = 1
        for k, structure in enumerate(task.structures):
            for value in structure.values:
                if task.exclusive:
                    table[value] = 0
                table[value, k + 1 if task.exclusive else k] = 1
        self._table = table

    def per_sample(self, outputs: Tensor | list[Tensor], mask_BZYX: Tensor) -> Tensor:
        """Float32 (B,).

        Args:
            outputs: logits (B, K, Z, Y, X); with deep supervision a list of them, each smaller than the one before,
                weighed 1, 1/2, 1/4 … over their sum (Isensee et al., Nature Methods 18, 2021).
            mask_BZYX: uint8 values of the mask; a smaller output is held against every so many of its voxels.
        """
        levels = [outputs] if isinstance(outputs, Tensor) else outputs
        total = torch.zeros(len(mask_BZYX), device=mask_BZYX.device)
        for level, logits in enumerate(levels):
            mask = mask_BZYX
            if logits.shape[2:] != mask.shape[1:]:
                mask = F.interpolate(mask[:, None].float(), list(logits.shape[2:]), mode="nearest")[:, 0]
            total = total + 0.5**level * self._of_level(logits.float().flatten(2), mask.flatten(1).long())
        return total / sum(0.5**level for level in range(len(levels)))

    def truth(self, mask_BZYX: Tensor) -> Tensor:
        """Of a mask, which structures each voxel belongs to: bool (B, structures, Z, Y, X)."""
        table = self._table[:, 1:] if self._exclusive else self._table
        return (table.to(mask_BZYX.device)[mask_BZYX.long()] > 0).movedim(-1, 1)

    def _of_level(self, logits_BKV: Tensor, mask_BV: Tensor) -> Tensor:
        truth_BKV = self._table.to(mask_BV.device)[mask_BV].movedim(-1, 1)
        probability_BKV = logits_BKV.softmax(1) if self._exclusive else logits_BKV.sigmoid()
        p, g = probability_BKV, truth_BKV
        if self._exclusive and not self._has_background:
            p, g = p[:, 1:], g[:, 1:]
        if isinstance(self._loss, GeneralizedDiceLoss):
            return _generalized_dice(p, g)
        dice_B = _dice(p, g, batch=self._loss.batch)
        if isinstance(self._loss, DiceLoss):
            return dice_B
        if self._exclusive:
            # Not F.cross_entropy, which has no deterministic kernel for voxels on GPUs.
            ce_BV = -(logits_BKV.log_softmax(1) * truth_BKV).sum(1)
        else:
            ce_BV = F.binary_cross_entropy_with_logits(logits_BKV, truth_BKV, reduction="none").mean(1)
        return dice_B + self._loss.ce_weight * ce_BV.mean(1)


def _dice(p_BKV: Tensor, g_BKV: Tensor, *, batch: bool) -> Tensor:
    """1 - soft Dice, averaged over the structures (Milletari et al., 3DV 2016, with plain sums in the denominator)."""
    both_BK = (p_BKV * g_BKV).sum(2)
    each_BK = p_BKV.sum(2) + g_BKV.sum(2)
    if batch:
        num = len(both_BK)
        both_BK, each_BK = both_BK.sum(0, keepdim=True).expand(num, -1), each_BK.sum(0, keepdim=True).expand(num, -1)
    return (1 - (2 * both_BK + _SMOOTH) / (each_BK + _SMOOTH)).mean(1)


def _generalized_dice(p_BKV: Tensor, g_BKV: Tensor) -> Tensor:
    """Sudre et al., DLMIA 2017; a structure that is absent weighs as much as the heaviest that is there."""
    volume_BK = g_BKV.sum(2)
    weight_BK = torch.where(volume_BK > 0, 1 / volume_BK.clamp(min=1) ** 2, 0)
    weight_BK = torch.where(volume_BK > 0, weight_BK, weight_BK.amax(1, keepdim=True))
    both_B = (weight_BK * (p_BKV * g_BKV).sum(2)).sum(1)
    each_B = (weight_BK * (p_BKV.sum(2) + volume_BK)).sum(1)
    return 1 - (2 * both_B + _SMOOTH) / (each_B + _SMOOTH)
