"""PyTorch's reference for a package's certificate: logits of stored tensors in batches of several sizes, and a whole
volume as MONAI blends it.

N cases, C channels, K outputs; Z, Y, X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from fiducial_engine.config import EngineSegment, RunConfig
from fiducial_engine.crops import empty_values
from fiducial_engine.errors import UserError
from fiducial_engine.tasks.segment import probabilities
from fiducial_engine.windows import mirrored


@torch.no_grad()
def logits_in_batches(network: nn.Module, image: Tensor, sizes: Sequence[int]) -> dict[str, Tensor]:
    """Float32 [N, …] computed on the CPU, `logits_b7` in batches of 7."""
    return {f"logits_b{size}": torch.cat([network(part) for part in image.split(size)]) for size in sizes}


@torch.no_grad()
def probabilities_by_monai(
    network: nn.Module, image_CZYX: Tensor, config: RunConfig, mirror: tuple[int, ...] = ()
) -> Tensor:
    """Float32 [K, Z, Y, X] from MONAI's own sliding_window_inference, so that ours is not held against itself.

    Args:
        mirror: array axes; each window's logits are averaged over all combinations of them.

    Raises:
        UserError: the run's task is not segmentation.
    """
    task, data = config.task, config.data
    if not isinstance(task, EngineSegment):
        raise UserError("--volume is for segmentation.")
    from monai.inferers.utils import sliding_window_inference  # Ten seconds to import: only who asks for it pays.

    # MONAI continues all channels of a small volume with one value, on the same sides.
    sides = image_CZYX.shape[1:]
    pads: list[int] = []
    for side, window in zip(reversed(sides), reversed(task.patch_size), strict=True):
        lacking = max(0, window - side)
        pads += [lacking // 2, lacking - lacking // 2]
    empty = empty_values(data.normalization, image_CZYX.numpy().dtype)
    padded = torch.stack([F.pad(one.float(), pads, value=float(e)) for one, e in zip(image_CZYX, empty, strict=True)])
    logits = sliding_window_inference(
        padded[None],
        task.patch_size,
        sw_batch_size=1,
        predictor=lambda windows: mirrored(network, windows, mirror),
        overlap=task.overlap,
        mode="gaussian",
    )
    assert isinstance(logits, Tensor)
    z, y, x = (slice(before, before + side) for before, side in zip(pads[4::-2], sides, strict=True))
    return probabilities(logits[0, :, z, y, x], task).contiguous()


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors in a safetensors file, sorted."""
    with safe_open(path, framework="pt") as tensors:
        return sorted(tensors.keys())


def read_image(path: Path, shape: tuple[int | None, ...], dtype: torch.dtype, name: str = "image") -> Tensor:
    """A tensor of a safetensors file; None stands for any number.

    Raises:
        UserError: there is none, or of another shape or type than the network takes.
    """
    try:
        image = load_file(path)[name]
    except (OSError, KeyError, SafetensorError) as cause:
        raise UserError(f"{path} holds no tensor `{name}`: {cause}") from cause
    fits = len(image.shape) == len(shape) and all(s in (None, n) for s, n in zip(shape, image.shape, strict=True))
    if image.dtype != dtype or not fits or 0 in image.shape:
        wanted = ", ".join("any" if side is None else str(side) for side in shape)
        raise UserError(f"{path}: `{name}` is {image.dtype} {list(image.shape)}; the network takes {dtype} [{wanted}].")
    return image
