"""What every model family is asked to build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network from (B, in_channels, *size) to logits (B, num_outputs), or (B, num_outputs, *size) for masks."""

    in_channels: int
    num_outputs: int
    size: tuple[int, ...]  # [y, x] of images, [z, y, x] of volumes.
    spacing_mm: tuple[float, float, float] | None  # [z, y, x]; None for images.
    run_dir: Path
    weights: str  # Those the family itself loads: none, pretrained, timm:<tag>, or a file in its own naming.
    loaded: list[Path] = field(default_factory=list)  # The family adds the file whose weights it loaded.


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of network, and what it is for."""

    build: Callable[[Any, NetworkSpec], nn.Module]
    reads: Literal["images", "volumes", "any"]
    gives: Literal["labels", "mask", "any"]
