"""Residual U-Net (Kerfoot et al., STACOM 2018) as MONAI builds it: the same layers in the same order, so that MONAI's
weights fit. It is written out here because importing MONAI takes each process more than ten seconds.

Each level halves on entering it, the first too; the last keeps the size of the one above it. An axis that gets too
short is no longer halved.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fiducial_engine.config import Unet3dModel
from fiducial_engine.models.halving import Triple, strides_of_levels
from fiducial_engine.models.spec import NetworkSpec


def build(config: Unet3dModel, spec: NetworkSpec) -> nn.Module:
    """As spec says; `channels` names the width of each level."""
    z, y, x = spec.size
    strides = strides_of_levels((z, y, x), len(config.channels) - 1)
    kernel = (3 if z > 1 else 1, 3 if y > 1 else 1, 3 if x > 1 else 1)
    return Level(config, spec.in_channels, spec.num_outputs, config.channels, strides, kernel, top=True)


class Level(nn.Module):
    """Down, everything below, and up again beside a skip connection."""

    def __init__(
        self,
        config: Unet3dModel,
        num_in: int,
        num_out: int,
        channels: Sequence[int],
        strides: Sequence[Triple],
        kernel: Triple,
        *,
        top: bool,
    ) -> None:
        super().__init__()
        width, stride = channels[0], strides[0]
        units = config.residual_units
        self.down = _block(config, num_in, width, stride, kernel)
        if len(channels) > 2:
            self.below: nn.Module = Level(config, width, width, channels[1:], strides[1:], kernel, top=False)
            num_joined = 2 * width
        else:
            self.below = _block(config, width, channels[1], (1, 1, 1), kernel)
            num_joined = width + channels[1]
        bare = top and units == 0  # The last convolution of all has no norm and no activation.
        self.up = nn.Sequential(_conv(config, num_joined, num_out, stride, kernel, transposed=True, bare=bare))
        if units > 0:
            self.up.append(ResidualUnit(config, num_out, num_out, (1, 1, 1), kernel, num_convs=1, bare=top))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        joined: Tensor = self.up(torch.cat([x, self.below(x)], dim=1))
        return joined


class ResidualUnit(nn.Module):
    """Convolutions, the first with the stride, added to a convolution of the input where their shapes differ."""

    def __init__(
        self,
        config: Unet3dModel,
        num_in: int,
        num_out: int,
        stride: Triple,
        kernel: Triple,
        *,
        num_convs: int,
        bare: bool = False,
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential()
        for i in range(num_convs):
            last = i == num_convs - 1
            first = (num_in, stride) if i == 0 else (num_out, (1, 1, 1))
            self.convs.append(_conv(config, first[0], num_out, first[1], kernel, bare=bare and last))
        self.residual: nn.Module = nn.Identity()
        if stride != (1, 1, 1):
            self.residual = nn.Conv3d(num_in, num_out, kernel, stride, _padding(kernel))
        elif num_in != num_out:
            self.residual = nn.Conv3d(num_in, num_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convs(x) + self.residual(x)
        return y


def _block(config: Unet3dModel, num_in: int, num_out: int, stride: Triple, kernel: Triple) -> nn.Module:
    if config.residual_units == 0:
        return _conv(config, num_in, num_out, stride, kernel)
    return ResidualUnit(config, num_in, num_out, stride, kernel, num_convs=config.residual_units)


def _conv(
    config: Unet3dModel,
    num_in: int,
    num_out: int,
    stride: Triple,
    kernel: Triple,
    *,
    transposed: bool = False,
    bare: bool = False,
) -> nn.Sequential:
    """A convolution, then norm, dropout and activation unless it is bare."""
    if transposed:
        extra = (stride[0] - 1, stride[1] - 1, stride[2] - 1)
        layers: list[nn.Module] = [nn.ConvTranspose3d(num_in, num_out, kernel, stride, _padding(kernel), extra)]
    else:
        layers = [nn.Conv3d(num_in, num_out, kernel, stride, _padding(kernel))]
    if not bare:
        layers.append(_norm(config.norm, num_out))
        if config.dropout > 0:
            layers.append(nn.Dropout(config.dropout))
        layers.append(nn.PReLU())
    return nn.Sequential(*layers)


def _norm(kind: str, width: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm3d(width)
    if kind == "group":
        return nn.GroupNorm(next(g for g in (8, 4, 2, 1) if width % g == 0), width)
    return nn.InstanceNorm3d(width)


def _padding(kernel: Triple) -> Triple:
    return (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
