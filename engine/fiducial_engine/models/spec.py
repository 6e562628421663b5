"""What every model family is asked to build."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network from (B, in_channels, *size) to logits (B, num_outputs)."""

    in_channels: int
    num_outputs: int
    size: tuple[int, int]  # [y, x]
    run_dir: Path
    weights: str  # Those the family itself loads: none, pretrained, timm:<tag>, or a file in its own naming.
    loaded: list[Path] = field(default_factory=list)  # The family adds the file whose weights it loaded.
