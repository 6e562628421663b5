"""3D ResNet for classifying volumes (Hara et al., CVPR 2018): He et al.'s residual networks with cubic kernels."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from fiducial_engine.config import Resnet3dModel
from fiducial_engine.models.spec import NetworkSpec

# Blocks of each of the four stages, and whether they have a bottleneck.
_DEPTHS: Final[dict[int, tuple[tuple[int, int, int, int], bool]]] = {
    10: ((1, 1, 1, 1), False),
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
}


def build(config: Resnet3dModel, spec: NetworkSpec) -> nn.Module:
    """As spec says, for volumes of any size."""
    return ResNet3d(config, spec.in_channels, spec.num_outputs)


class ResNet3d(nn.Module):
    """(B, in, Z, Y, X) → logits (B, out)."""

    def __init__(self, config: Resnet3dModel, num_in: int, num_out: int) -> None:
        super().__init__()
        blocks, bottleneck = _DEPTHS[config.depth]
        expansion = 4 if bottleneck else 1
        width = config.base_channels
        # The paper's first stride leaves the axis along slices as it is.
        self.first = nn.Sequential(
            nn.Conv3d(num_in, width, 7, (1, 2, 2), 3, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, 2, 1),
        )
        stages: list[nn.Module] = []
        num = width
        for stage, num_blocks in enumerate(blocks):
            for i in range(num_blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                inner = width << stage
                stages.append(Block(num, inner, inner * expansion, stride, bottleneck=bottleneck))
                num = inner * expansion
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(num, num_out)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stages(self.first(x)).mean((2, 3, 4)))
        return logits


class Block(nn.Module):
    """Two 3×3×3 convolutions, or three around a bottleneck, added to the input or to its projection (shortcut B)."""

    def __init__(self, num_in: int, inner: int, num_out: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            layers = [*_conv(num_in, inner, 1), *_conv(inner, inner, 3, stride), *_conv(inner, num_out, 1)]
        else:
            layers = [*_conv(num_in, inner, 3, stride), *_conv(inner, num_out, 3)]
        self.convs = nn.Sequential(*layers[:-1])  # The last activation follows the sum.
        self.act = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or num_in != num_out:
            self.shortcut = nn.Sequential(*_conv(num_in, num_out, 1, stride)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.convs(x) + self.shortcut(x))
        return y


def _conv(num_in: int, num_out: int, side: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv3d(num_in, num_out, side, stride, side // 2, bias=False),
        nn.BatchNorm3d(num_out),
        nn.ReLU(inplace=True),
    ]
