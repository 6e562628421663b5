"""Encoder-decoder of Myronenko (BrainLes 2018) without its autoencoder branch, as MONAI's SegResNet: group norm before
each convolution, strided convolutions down, linear interpolation up, and skips that are added. The same layers in the
same order as MONAI's, so that its weights fit. Along an axis of one voxel, as in a 2D image, kernels are 1 wide.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fiducial_engine.config import SegresnetModel
from fiducial_engine.errors import UserError
from fiducial_engine.models.halving import Triple, strides_of_levels
from fiducial_engine.models.spec import NetworkSpec

_GROUPS = 8


def build(config: SegresnetModel, spec: NetworkSpec) -> nn.Module:
    """As spec says; each level but the first halves the axes that are long enough and doubles the channels.

    Raises:
        UserError: the levels up are not one fewer than those down, or the width has no 8 groups.
    """
    if len(config.blocks_up) != len(config.blocks_down) - 1:
        raise UserError(
            f"model.blocks_up: {len(config.blocks_up)} entries; of {len(config.blocks_down)} levels down "
            f"{len(config.blocks_down) - 1} come up again."
        )
    if config.init_filters % _GROUPS:
        raise UserError(f"model.init_filters: {config.init_filters} channels have no {_GROUPS} groups.")
    z, y, x = spec.size
    kernel: Triple = (1 if z == 1 else 3, 1 if y == 1 else 3, 1 if x == 1 else 3)
    strides = strides_of_levels((z, y, x), len(config.blocks_up))
    return SegResNet(config, spec.in_channels, spec.num_outputs, strides, kernel)


class SegResNet(nn.Module):
    """(B, in, Z, Y, X) → logits (B, out, Z, Y, X)."""

    def __init__(
        self, config: SegresnetModel, num_in: int, num_out: int, strides: list[Triple], kernel: Triple
    ) -> None:
        super().__init__()
        width, num_up = config.init_filters, len(config.blocks_up)
        self._strides = strides
        padding = kernel[0] // 2, kernel[1] // 2, kernel[2] // 2
        self.first = nn.Conv3d(num_in, width, kernel, padding=padding, bias=False)
        self.down = nn.ModuleList()
        for level, num_blocks in enumerate(config.blocks_down):
            w = width << level
            into = (
                nn.Identity() if level == 0 else nn.Conv3d(w // 2, w, kernel, strides[level - 1], padding, bias=False)
            )
            self.down.append(nn.Sequential(into, *[Block(w, kernel) for _ in range(num_blocks)]))
        widths = [width << level for level in range(num_up, 0, -1)]
        self.up = nn.ModuleList(
            nn.Sequential(*[Block(w // 2, kernel) for _ in range(num)])
            for w, num in zip(widths, config.blocks_up, strict=True)
        )
        self.narrow = nn.ModuleList(nn.Conv3d(w, w // 2, 1, bias=False) for w in widths)
        self.head = nn.Sequential(nn.GroupNorm(_GROUPS, width), nn.ReLU(), nn.Conv3d(width, num_out, 1))
        self.dropout = nn.Dropout3d(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.first(x))
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        for i, (up, narrow) in enumerate(zip(self.up, self.narrow, strict=True)):
            stride = self._strides[-1 - i]
            x = F.interpolate(narrow(x), scale_factor=[float(s) for s in stride], mode="trilinear")
            x = up(x + skips[-2 - i])
        logits: Tensor = self.head(x)
        return logits


class Block(nn.Module):
    """Norm, activation and convolution, twice, added to the input."""

    def __init__(self, width: int, kernel: Triple) -> None:
        super().__init__()
        padding = kernel[0] // 2, kernel[1] // 2, kernel[2] // 2
        self.norm1, self.norm2 = nn.GroupNorm(_GROUPS, width), nn.GroupNorm(_GROUPS, width)
        self.conv1 = nn.Conv3d(width, width, kernel, padding=padding, bias=False)
        self.conv2 = nn.Conv3d(width, width, kernel, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        z: Tensor = x + self.conv2(F.relu(self.norm2(y)))
        return z
