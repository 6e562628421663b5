"""An exponential moving average of the weights, validated and exported in their place."""

from __future__ import annotations

import copy

import torch
from torch import nn


class AveragedNetwork:
    """A second copy of the network that follows the first. Buffers are copied, parameters averaged.

    The first steps weigh more, min(decay, (1 + t) / (10 + t)), so that the random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the weights after optimizer update `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averaged = [p.detach() for p in self.network.parameters()]
        torch._foreach_lerp_(averaged, [p.detach() for p in network.parameters()], 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)
