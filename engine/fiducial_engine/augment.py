"""Random augmentation on the training device: each sample's numbers depend on (seed, its position) alone.

B samples, C channels, H rows, W columns. Geometry is one resampling: flips, turns, rotation, zoom, shift and crop are
multiplied into one affine map per sample. Pixels are in 0..1 here; outside the image is black.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fiducial_engine.config import ImageAugment, InputNormalization
from fiducial_engine.randomness import Purpose, uniforms
from fiducial_engine.sampling import Rows

_NUMBERS = 16  # Uniform numbers a sample; a key's number keeps its place when others are off.
(_FLIP_X, _FLIP_Y, _TURN, _TURNS, _ROTATE, _SCALE, _SHIFT_Y, _SHIFT_X) = range(8)
(_AREA, _ASPECT, _CROP_Y, _CROP_X, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE) = range(8, 16)
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma.
_RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def augment_batch(
    stored_BCHW: Tensor,
    positions_B: Rows,
    config: ImageAugment,
    normalization: InputNormalization,
    seed: int,
    channel_order: Literal["rgb", "bgr"] = "rgb",
) -> Tensor:
    """Augment a batch of stored values.

    Args:
        stored_BCHW: uint8 or int16, on the training device.
        positions_B: position of each sample in the endless training sequence.
        channel_order: of three stored channels; colours mean the same in both.

    Returns:
        float32 (B, C, H, W) in stored units, which the network's first node normalises as it does stored values.
    """
    x = (stored_BCHW.float() + normalization.offset) * normalization.scale
    u_BN = uniforms(seed, Purpose.AUGMENT, positions_B, _NUMBERS)
    x = _move(x, u_BN, config)
    x = _shade(x, u_BN, config)
    if x.shape[1] == 3 and (config.saturation > 0 or config.hue > 0):
        x = _tint(x.flip(1), u_BN, config).flip(1) if channel_order == "bgr" else _tint(x, u_BN, config)
    return x.clamp(0, 1) / normalization.scale - normalization.offset


def affine_maps(u_BN: NDArray[np.float64], config: ImageAugment, height: int, width: int) -> NDArray[np.float64]:
    """The map from output to input coordinates of each sample, (B, 3, 3), in pixels from the image's centre, (x, y, 1).

    A turn by 90 degrees needs a square image; others are turned by 180 degrees or not at all.
    """
    u = u_BN.T
    num = len(u_BN)
    flip_x = np.where(u[_FLIP_X] < config.flip_x, -1.0, 1.0)
    flip_y = np.where(u[_FLIP_Y] < config.flip_y, -1.0, 1.0)
    turns = np.floor(u[_TURNS] * 4) if height == width else np.floor(u[_TURNS] * 2) * 2
    turn = np.where(u[_TURN] < config.rotate90, turns, 0) * (math.pi / 2)
    angle = turn + np.radians(config.rotate_degrees) * (2 * u[_ROTATE] - 1)
    zoom = 1 + config.scale * (2 * u[_SCALE] - 1)
    shift_x = config.translate * (2 * u[_SHIFT_X] - 1) * width
    shift_y = config.translate * (2 * u[_SHIFT_Y] - 1) * height
    # Random resized crop: a share of the area, an aspect ratio of 3/4 to 4/3, anywhere inside.
    area = config.crop + (1 - config.crop) * u[_AREA]
    aspect = np.exp((2 * u[_ASPECT] - 1) * math.log(4 / 3)) if config.crop < 1 else np.ones(num)
    crop_x = np.minimum(1, np.sqrt(area * aspect))
    crop_y = np.minimum(1, np.sqrt(area / aspect))
    middle_x = (u[_CROP_X] - 0.5) * (1 - crop_x) * width
    middle_y = (u[_CROP_Y] - 0.5) * (1 - crop_y) * height

    crop = _matrix(num, crop_x, 0, middle_x, 0, crop_y, middle_y)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    turn_and_zoom = _matrix(num, cos, -sin, -shift_x, sin, cos, -shift_y)
    flip = _matrix(num, flip_x, 0, 0, 0, flip_y, 0)
    maps: NDArray[np.float64] = flip @ turn_and_zoom @ crop
    return maps


def _matrix(num: int, *entries: NDArray[np.float64] | float) -> NDArray[np.float64]:
    rows = [np.broadcast_to(e, (num,)) for e in (*entries, 0.0, 0.0, 1.0)]
    return np.stack(rows, axis=1).reshape(num, 3, 3)


def _move(x: Tensor, u_BN: NDArray[np.float64], config: ImageAugment) -> Tensor:
    keys = (config.rotate_degrees, config.scale, config.translate, 1 - config.crop, config.rotate90)
    if not any(keys):
        return _flip(x, u_BN, config)
    height, width = x.shape[2:]
    maps = affine_maps(u_BN, config, height, width)
    # grid_sample counts in half sides from the centre, x before y.
    maps[:, 0, 1] *= height / width
    maps[:, 1, 0] *= width / height
    maps[:, 0, 2] *= 2 / width
    maps[:, 1, 2] *= 2 / height
    theta_B23 = torch.from_numpy(maps[:, :2].astype(np.float32)).to(x.device)
    grid = F.affine_grid(theta_B23, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _flip(x: Tensor, u_BN: NDArray[np.float64], config: ImageAugment) -> Tensor:
    for column, chance, axis in ((_FLIP_X, config.flip_x, 3), (_FLIP_Y, config.flip_y, 2)):
        if chance > 0:
            flipped = _column(u_BN[:, column] < chance, x)
            x = torch.where(flipped > 0, x.flip(axis), x)
    return x


def _shade(x: Tensor, u_BN: NDArray[np.float64], config: ImageAugment) -> Tensor:
    """Contrast about each image's own mean, then brightness."""
    if config.contrast > 0:
        factor = _column(1 + config.contrast * (2 * u_BN[:, _CONTRAST] - 1), x)
        x = torch.lerp(x.mean(dim=(1, 2, 3), keepdim=True), x, factor)
    if config.brightness > 0:
        x = x + _column(config.brightness * (2 * u_BN[:, _BRIGHTNESS] - 1), x)
    return x


def _tint(x: Tensor, u_BN: NDArray[np.float64], config: ImageAugment) -> Tensor:
    """Saturation towards grey, then hue as a rotation of the I-Q plane of YIQ."""
    factor = _column(1 + config.saturation * (2 * u_BN[:, _SATURATION] - 1), x)
    grey = (x * torch.tensor(_GREY, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    x = torch.lerp(grey.expand_as(x), x, factor)
    if config.hue == 0:
        return x
    angle = 2 * math.pi * config.hue * (2 * u_BN[:, _HUE] - 1)
    rotation = np.zeros((len(u_BN), 3, 3))
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = np.cos(angle)
    rotation[:, 1, 2], rotation[:, 2, 1] = -np.sin(angle), np.sin(angle)
    to_yiq = np.array(_RGB_TO_YIQ)
    turn_B33 = (np.linalg.inv(to_yiq) @ rotation @ to_yiq).astype(np.float32)
    return torch.einsum("bij,bjhw->bihw", torch.from_numpy(turn_B33).to(x.device), x)


def _column(values_B: NDArray[np.generic], like: Tensor) -> Tensor:
    return torch.from_numpy(values_B.astype(np.float32)).to(like.device).view(-1, 1, 1, 1)
