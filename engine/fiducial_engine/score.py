"""PyTorch's reference for a package's certificate: logits of stored tensors, in batches of several sizes.

N cases, C channels, H rows, W columns, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fiducial_engine.errors import UserError


@torch.no_grad()
def logits_in_batches(network: nn.Module, image_NCHW: Tensor, sizes: Sequence[int]) -> dict[str, Tensor]:
    """Float32 [N, L] computed on the CPU, `logits_b7` in batches of 7."""
    return {f"logits_b{size}": torch.cat([network(part) for part in image_NCHW.split(size)]) for size in sizes}


def read_image(path: Path, sample_shape: tuple[int, int, int], dtype: torch.dtype) -> Tensor:
    """`image` [N, C, H, W] of a safetensors file.

    Raises:
        UserError: there is none, or of another shape or type than the network takes.
    """
    try:
        image = load_file(path)["image"]
    except (OSError, KeyError, SafetensorError) as cause:
        raise UserError(f"{path} holds no tensor `image`: {cause}") from cause
    if image.dtype != dtype or tuple(image.shape[1:]) != sample_shape:
        raise UserError(
            f"{path}: `image` is {image.dtype} {list(image.shape)}; the network takes {dtype} [N, *{sample_shape}]."
        )
    return image
