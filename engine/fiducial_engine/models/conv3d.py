"""Convolutions of volumes whose gradients can be relied on in bf16 on the CPU.

oneDNN's bf16 weight gradient of a 3×3×3 kernel over two slices reads memory that was never written (torch 2.15), and
now and then gives NaN. Depths 1 and 3 to 8 are sound. What is two slices deep is convolved in fp32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """As torch's, but for that."""

    def forward(self, x: Tensor) -> Tensor:
        if not _is_unsound(x):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class ConvTranspose3d(nn.ConvTranspose3d):
    """The same of transposed convolutions."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not _is_unsound(x):
            return super().forward(x, output_size)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float(), output_size)


def with_sound_convolutions(net: nn.Module) -> nn.Module:
    """The network itself, its convolutions of volumes, a user's too, made of the classes above; weights stay."""
    for module in net.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = Conv3d
        elif type(module) is nn.ConvTranspose3d:
            module.__class__ = ConvTranspose3d
    return net


def _is_unsound(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.shape[2] == 2 and torch.is_autocast_enabled("cpu")
