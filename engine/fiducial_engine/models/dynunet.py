"""nnU-Net's network (Isensee et al., Nature Methods 18, 2021), as MONAI's DynUNet: the patch and the spacing decide how
often each axis is halved and how wide kernels are. The same layers in the same order as MONAI's.

With deep supervision, training also gets the logits of the levels below the output, each at its own size; validation
and export get the output alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fiducial_engine.config import DynunetModel
from fiducial_engine.models.halving import Triple, plan_levels
from fiducial_engine.models.spec import NetworkSpec

_MOST_LEVELS = 6
_SLOPE = 0.01


def build(config: DynunetModel, spec: NetworkSpec) -> nn.Module:
    """As spec says; the channels double with each level up to `max_channels`."""
    assert spec.spacing_mm is not None
    z, y, x = spec.size
    strides, kernels = plan_levels((z, y, x), spec.spacing_mm)
    return DynUNet(config, spec.in_channels, spec.num_outputs, strides[:_MOST_LEVELS], kernels[:_MOST_LEVELS])


class DynUNet(nn.Module):
    """(B, in, Z, Y, X) → logits (B, out, Z, Y, X); in training a list of them, the full size first."""

    def __init__(
        self, config: DynunetModel, num_in: int, num_out: int, strides: list[Triple], kernels: list[Triple]
    ) -> None:
        super().__init__()
        widths = [min(config.base_channels << level, config.max_channels) for level in range(len(strides))]
        block = ResidualBlock if config.residual else Block
        self.down = nn.ModuleList(
            block(num, width, kernel, stride)
            for num, width, kernel, stride in zip([num_in, *widths], widths, kernels, strides, strict=False)
        )
        # From the deepest up.
        self.up = nn.ModuleList(
            Up(widths[level], widths[level - 1], kernels[level], strides[level])
            for level in range(len(strides) - 1, 0, -1)
        )
        num_heads = min(config.deep_supervision, len(self.up) - 1)
        self.lower_heads = nn.ModuleList(nn.Conv3d(widths[level], num_out, 1) for level in range(1, num_heads + 1))
        self.head = nn.Conv3d(widths[0], num_out, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        ups = []
        for up, skip in zip(self.up, skips[-2::-1], strict=True):
            x = up(x, skip)
            ups.append(x)
        logits: Tensor = self.head(x)
        if not self.training or len(self.lower_heads) == 0:
            return logits
        return [logits, *(head(ups[-2 - i]) for i, head in enumerate(self.lower_heads))]


class Block(nn.Module):
    """Two convolutions with norm and activation, the first with the stride."""

    def __init__(self, num_in: int, num_out: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(num_in, num_out, kernel, stride), _conv(num_out, num_out, kernel)
        self.act = nn.LeakyReLU(_SLOPE, inplace=True)
        self.norm1, self.norm2 = _norm(num_out), _norm(num_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm1(self.conv1(x)))
        y: Tensor = self.act(self.norm2(self.conv2(x)))
        return y


class ResidualBlock(nn.Module):
    """The same, added to the input or to its projection."""

    def __init__(self, num_in: int, num_out: int, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(num_in, num_out, kernel, stride), _conv(num_out, num_out, kernel)
        self.act = nn.LeakyReLU(_SLOPE, inplace=True)
        self.norm1, self.norm2 = _norm(num_out), _norm(num_out)
        self.projection: nn.Module = nn.Identity()
        if num_in != num_out or stride != (1, 1, 1):
            self.projection = nn.Sequential(_conv(num_in, num_out, (1, 1, 1), stride), _norm(num_out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        z: Tensor = self.act(y + self.projection(x))
        return z


class Up(nn.Module):
    """A transposed convolution that undoes a stride, then a block over it and the skip."""

    def __init__(self, num_in: int, num_out: int, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.larger = nn.ConvTranspose3d(num_in, num_out, stride, stride, bias=False)
        self.block = Block(2 * num_out, num_out, kernel)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.block(torch.cat([self.larger(x), skip], dim=1))
        return y


def _conv(num_in: int, num_out: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> nn.Conv3d:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(num_in, num_out, kernel, stride, padding, bias=False)


def _norm(width: int) -> nn.Module:
    return nn.InstanceNorm3d(width, affine=True)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
