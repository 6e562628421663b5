"""Convolutions of volumes whose gradients can be relied on in bf16 on the CPU.

oneDNN's bf16 weight gradient reads memory that was never written where an input is deeper than one slice and shallower
than the kernel (torch 2.15): NaN, or numbers of any size. Such layers, a handful of voxels, are convolved in fp32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """As torch's, but for that."""

    def forward(self, x: Tensor) -> Tensor:
        if not _is_unsound(x, self.kernel_size):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class ConvTranspose3d(nn.ConvTranspose3d):
    """The same of transposed convolutions."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not _is_unsound(x, self.kernel_size):
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


def _is_unsound(x: Tensor, kernel: tuple[int, ...]) -> bool:
    return x.device.type == "cpu" and 1 < x.shape[2] < kernel[0] and torch.is_autocast_enabled("cpu")
