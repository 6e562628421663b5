"""Random augmentation of volumes on the training device: each sample's numbers depend on (seed, its position) alone.

B samples, C channels, Z, Y, X voxels; n of the B samples are changed by a transform, and only they are computed. The
transforms and their order are nnU-Net's (Isensee et al., Nature Methods 18, 2021, Supplementary Note 2). Geometry is
one resampling of a crop with a margin, about the patch's centre and in millimetres; blur and low resolution are one
matrix an axis. Voxels are normalised here: 0 is what a case is continued with.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fiducial_engine.config import InputNormalization, VolumeAugment
from fiducial_engine.randomness import Purpose, torch_seed, uniforms
from fiducial_engine.sampling import Rows

Triple = tuple[int, int, int]
Floats = NDArray[np.float64]

# Uniform numbers a sample; a transform's numbers keep their place when others are off. Those of channels follow.
(_FLIP, _ROTATE, _ANGLES, _SCALE, _ZOOM, _ELASTIC, _NOISE, _NOISE_STD) = (0, 3, 4, 7, 8, 9, 10, 11)
(_BLUR, _BRIGHTNESS, _SHIFT, _CONTRAST, _LOW_RESOLUTION, _GAMMA, _INVERT) = range(12, 19)
_PER_SAMPLE: Final = 19
(_SIGMA, _FACTOR, _RADIUS, _TURN, _CONTRAST_FACTOR, _KEPT, _EXPONENT) = range(7)
_PER_CHANNEL: Final = 7
_INVERTED: Final = 0.25  # nnU-Net: gamma with probability 0.3, and of the inverted image with 0.1.
# A patch so much flatter along z than along y and x is turned about z alone.
_FLAT: Final = 3
# Control points of the elastic map stand so many standard deviations apart, where it does not fold.
_CONTROL_SPACING: Final = 4
_CONTROL_VOXELS: Final = 8


def margin(patch: Triple, config: VolumeAugment, spacing_mm: tuple[float, float, float]) -> Triple:
    """Voxels on either side of the patch that rotation about one axis, zoom and the elastic map may reach."""
    half_mm = np.array(patch) / 2 * np.array(spacing_mm)
    reach_mm = half_mm.copy()
    if config.rotate > 0:
        angle = math.radians(min(config.rotate_degrees, 90))
        # The extent along i of a box turned about the third axis is largest at the largest angle or at the diagonal.
        for i, j in ((1, 2),) if _is_flat(patch) else ((0, 1), (0, 2), (1, 2)):
            for a, b in ((i, j), (j, i)):
                steepest = min(angle, math.atan2(half_mm[b], half_mm[a]))
                reach = half_mm[a] * math.cos(steepest) + half_mm[b] * math.sin(steepest)
                reach_mm[a] = max(reach_mm[a], reach)
    if config.scale > 0:
        zoom = min(1.0, config.scale_range[0])
        reach_mm /= np.array([1.0 if _is_flat(patch) else zoom, zoom, zoom])
    if config.elastic > 0:
        reach_mm += 2 * config.elastic_mm * np.array([0.0 if _is_flat(patch) else 1.0, 1.0, 1.0])
    z, y, x = np.ceil((reach_mm - half_mm) / np.array(spacing_mm) - 1e-9).astype(int).tolist()
    return z, y, x


def augment_volumes(
    stored_BCZYX: Tensor,
    mask_BZYX: Tensor | None,
    positions_B: Rows,
    config: VolumeAugment,
    normalization: InputNormalization,
    seed: int,
    *,
    patch: Triple,
    spacing_mm: tuple[float, float, float],
) -> tuple[Tensor, Tensor | None]:
    """Augment a batch of crops.

    Args:
        stored_BCZYX: stored values on the training device, the patch in the middle of a margin.
        mask_BZYX: uint8 of the same voxels.
        positions_B: position of each sample in the endless training sequence.

    Returns:
        float32 (B, C, *patch) in stored units, which the network's first node normalises as it does stored values;
        and the mask (B, *patch).
    """
    per_channel = (1, -1, 1, 1, 1)
    mean = torch.tensor(normalization.mean, device=stored_BCZYX.device).view(per_channel)
    std = torch.tensor(normalization.std, device=stored_BCZYX.device).view(per_channel)
    num_channels = stored_BCZYX.shape[1]
    u_BN = uniforms(seed, Purpose.AUGMENT, positions_B, _PER_SAMPLE + _PER_CHANNEL * num_channels)
    u_BCN = u_BN[:, _PER_SAMPLE:].reshape(len(u_BN), num_channels, _PER_CHANNEL)

    x = ((stored_BCZYX.float() + normalization.offset) * normalization.scale - mean) / std
    x, mask = _move(x, mask_BZYX, u_BN, positions_B, config, seed, patch, spacing_mm)
    x = x.contiguous()
    _add_noise(x, u_BN, positions_B, config, seed)
    _soften(x, u_BN, u_BCN, config)
    _shade(x, u_BN, u_BCN, config)
    _bend(x, u_BN, u_BCN, config)
    x, mask = _flip(x, mask, u_BN, config)
    return (x * std + mean) / normalization.scale - normalization.offset, mask


def _is_flat(patch: Triple) -> bool:
    return patch[0] * _FLAT < min(patch[1:])


def _move(
    x: Tensor,
    mask: Tensor | None,
    u_BN: Floats,
    positions_B: Rows,
    config: VolumeAugment,
    seed: int,
    patch: Triple,
    spacing_mm: tuple[float, float, float],
) -> tuple[Tensor, Tensor | None]:
    """Cut the patch out of the middle, and resample the samples that turn, zoom or bend."""
    read = x.shape[2:]
    middle = tuple(slice((r - p) // 2, (r - p) // 2 + p) for r, p in zip(read, patch, strict=True))
    cut = x[:, :, middle[0], middle[1], middle[2]].clone()
    cut_mask = None if mask is None else mask[:, middle[0], middle[1], middle[2]].clone()
    moved = _rows((u_BN[:, _ROTATE] < config.rotate) | (u_BN[:, _SCALE] < config.scale) | _bends(u_BN, config))
    if len(moved) == 0:
        return cut, cut_mask
    maps_n33 = _affine_maps(u_BN[moved], config, patch, spacing_mm)
    # grid_sample counts in half sides from the centre, x before y before z.
    half_out, half_in = np.array(patch) / 2, np.array(read) / 2
    theta_n34 = np.zeros((len(moved), 3, 4), np.float32)
    theta_n34[:, :, :3] = (maps_n33 * half_out[None, None, :] / half_in[None, :, None])[:, ::-1, ::-1]
    theta = torch.from_numpy(theta_n34).to(x.device)
    grid = F.affine_grid(theta, [len(moved), 1, *patch], align_corners=False)
    if config.elastic > 0:
        shift = _elastic(u_BN[moved], positions_B[moved], config, seed, patch, spacing_mm, x.device)
        grid = grid + shift / torch.tensor(half_in[::-1].copy(), dtype=torch.float32, device=x.device)
    index = torch.from_numpy(moved).to(x.device)
    cut[index] = F.grid_sample(x[index], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if mask is not None and cut_mask is not None:
        values = mask[index][:, None].float()
        nearest = F.grid_sample(values, grid, mode="nearest", padding_mode="zeros", align_corners=False)
        cut_mask[index] = nearest[:, 0].to(mask.dtype)
    return cut, cut_mask


def _affine_maps(u_nN: Floats, config: VolumeAugment, patch: Triple, spacing_mm: tuple[float, float, float]) -> Floats:
    """From output to input voxels, counted (z, y, x) from the centre, (n, 3, 3)."""
    num = len(u_nN)
    turned = (u_nN[:, _ROTATE] < config.rotate)[:, None]
    angles = np.where(turned, np.radians(config.rotate_degrees) * (2 * u_nN[:, _ANGLES : _ANGLES + 3] - 1), 0.0)
    zoom = np.where(u_nN[:, _SCALE] < config.scale, _in_halves(u_nN[:, _ZOOM], config.scale_range), 1.0)
    zooms = np.repeat(zoom[:, None], 3, axis=1)
    if _is_flat(patch):
        angles[:, 1:] = 0
        zooms[:, 0] = 1
    maps = np.broadcast_to(np.eye(3), (num, 3, 3))
    for axis, (i, j) in enumerate(((1, 2), (0, 2), (0, 1))):
        turn = np.broadcast_to(np.eye(3), (num, 3, 3)).copy()
        cos, sin = np.cos(angles[:, axis]), np.sin(angles[:, axis])
        turn[:, i, i], turn[:, j, j], turn[:, i, j], turn[:, j, i] = cos, cos, -sin, sin
        maps = turn @ maps
    mm = np.array(spacing_mm)
    in_voxels: Floats = maps * mm[None, None, :] / mm[None, :, None] / zooms[:, None, :]
    return in_voxels


def _elastic(
    u_nN: Floats,
    positions_n: Rows,
    config: VolumeAugment,
    seed: int,
    patch: Triple,
    spacing_mm: tuple[float, float, float],
    device: torch.device,
) -> Tensor:
    """Displacement in input voxels, (n, *patch, 3), x before y before z: normal at control points, linear between."""
    mm = np.array(spacing_mm)
    apart_mm = max(_CONTROL_SPACING * config.elastic_mm, _CONTROL_VOXELS * float(mm.min()))
    points = np.maximum(2, np.round((np.array(patch) - 1) * mm / apart_mm).astype(int) + 1)
    num = 3 * int(points.prod())
    u = uniforms(seed, Purpose.ELASTIC, positions_n, 2 * num)
    normal = np.sqrt(-2 * np.log1p(-u[:, :num])) * np.cos(2 * np.pi * u[:, num:])  # Box and Muller, 1958.
    shift = normal.reshape(len(u), 3, *points) * config.elastic_mm / mm[None, :, None, None, None]
    shift *= _bends(u_nN, config)[:, None, None, None, None]
    if _is_flat(patch):
        shift[:, 0] = 0
    coarse = torch.from_numpy(shift[:, ::-1].astype(np.float32)).to(device)
    return F.interpolate(coarse, size=list(patch), mode="trilinear", align_corners=True).permute(0, 2, 3, 4, 1)


def _bends(u_BN: Floats, config: VolumeAugment) -> NDArray[np.bool_]:
    bends: NDArray[np.bool_] = u_BN[:, _ELASTIC] < config.elastic
    return bends


def _add_noise(x: Tensor, u_BN: Floats, positions_B: Rows, config: VolumeAugment, seed: int) -> None:
    for b in _rows(u_BN[:, _NOISE] < config.noise).tolist():
        generator = torch.Generator(x.device).manual_seed(torch_seed(seed, Purpose.NOISE, int(positions_B[b])))
        noise = torch.randn(x.shape[1:], generator=generator, device=x.device)
        x[b] += noise * float(u_BN[b, _NOISE_STD] * config.noise_std)


def _soften(x: Tensor, u_BN: Floats, u_BCN: Floats, config: VolumeAugment) -> None:
    """Blur, then lower the resolution; along z only where the patch is not flat."""
    blurred, coarsened = u_BN[:, _BLUR] < config.blur, u_BN[:, _LOW_RESOLUTION] < config.low_resolution
    changed = _rows(blurred | coarsened)
    if len(changed) == 0:
        return
    u_nCN = u_BCN[changed]
    sigma_nC = np.where(blurred[changed][:, None], _between(u_nCN[..., _SIGMA], config.blur_sigma), 0)
    kept_nC = np.where(coarsened[changed][:, None], _between(u_nCN[..., _KEPT], config.low_resolution_range), 1)
    index = torch.from_numpy(changed).to(x.device)
    y = x[index]
    sides: Triple = (x.shape[2], x.shape[3], x.shape[4])
    for axis in (1, 2) if _is_flat(sides) else (0, 1, 2):
        maps = _coarsening(sides[axis], kept_nC) @ _blurring(sides[axis], sigma_nC)
        maps_nCij = torch.from_numpy(maps.astype(np.float32)).to(x.device)
        y = torch.einsum(("ncij,ncjyx->nciyx", "ncij,nczjx->nczix", "ncij,nczyj->nczyi")[axis], maps_nCij, y)
    x[index] = y


def _blurring(side: int, sigma_nC: Floats) -> Floats:
    """Gaussian blur along an axis as matrices (n, C, side, side); the weights within the patch add up to 1."""
    distance = np.subtract.outer(np.arange(side), np.arange(side)).astype(np.float64)
    weights = np.exp(-0.5 * (distance / np.maximum(sigma_nC, 1e-3)[..., None, None]) ** 2)
    maps: Floats = weights / weights.sum(-1, keepdims=True)
    return maps


def _coarsening(side: int, kept_nC: Floats) -> Floats:
    """Every so many voxels kept by nearest neighbour and sampled back by Keys' cubic, as (n, C, side, side)."""
    maps = np.empty((*kept_nC.shape, side, side))
    for place, kept in np.ndenumerate(kept_nC):
        num = max(1, round(side * kept))
        at = (np.arange(side) + 0.5) * num / side - 0.5
        first = np.floor(at).astype(int)
        one = np.zeros((side, side))
        for tap in range(-1, 3):
            source = (np.clip(first + tap, 0, num - 1) + 0.5) * side / num
            np.add.at(one, (np.arange(side), source.astype(int)), _keys(np.abs(at - first - tap)))
        maps[place] = one
    return maps


def _keys(distance: Floats) -> Floats:
    """Keys, IEEE Trans. ASSP 29 (1981): cubic convolution with a = -1/2."""
    d = distance
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    weights: Floats = np.where(d <= 1, near, np.where(d < 2, far, 0))
    return weights


def _shade(x: Tensor, u_BN: Floats, u_BCN: Floats, config: VolumeAugment) -> None:
    rows = _rows(u_BN[:, _BRIGHTNESS] < config.brightness)
    if len(rows) > 0:
        index = torch.from_numpy(rows).to(x.device)
        x[index] = x[index] * _column(_between(u_BCN[rows, :, _FACTOR], config.brightness_range), x)
    rows = _rows(u_BN[:, _SHIFT] < config.shift)
    if len(rows) > 0:
        index = torch.from_numpy(rows).to(x.device)
        radius = np.sqrt(-2 * np.log1p(-u_BCN[rows, :, _RADIUS]))
        x[index] = x[index] + _column(config.shift_std * radius * np.cos(2 * np.pi * u_BCN[rows, :, _TURN]), x)
    rows = _rows(u_BN[:, _CONTRAST] < config.contrast)
    if len(rows) > 0:
        index = torch.from_numpy(rows).to(x.device)
        y = x[index]
        mean, low, high = y.mean((2, 3, 4), keepdim=True), y.amin((2, 3, 4), keepdim=True), y.amax((2, 3, 4), True)
        factor = _column(_in_halves(u_BCN[rows, :, _CONTRAST_FACTOR], config.contrast_range), x)
        x[index] = torch.minimum(torch.maximum((y - mean) * factor + mean, low), high)


def _bend(x: Tensor, u_BN: Floats, u_BCN: Floats, config: VolumeAugment) -> None:
    """Gamma over the sample's own range, of some on the negative; mean and standard deviation stay as they were."""
    rows = _rows(u_BN[:, _GAMMA] < config.gamma)
    if len(rows) == 0:
        return
    index = torch.from_numpy(rows).to(x.device)
    sign = _column(np.where(u_BN[rows, _INVERT] < _INVERTED, -1.0, 1.0)[:, None], x)
    exponent = _column(_in_halves(u_BCN[rows, :, _EXPONENT], config.gamma_range), x)
    y = x[index] * sign
    voxels = (2, 3, 4)
    mean, std = y.mean(voxels, keepdim=True), y.std(voxels, keepdim=True)
    low, high = y.amin(voxels, keepdim=True), y.amax(voxels, keepdim=True)
    y = ((y - low) / (high - low).clamp(min=1e-7)) ** exponent
    y = (y - y.mean(voxels, keepdim=True)) / y.std(voxels, keepdim=True).clamp(min=1e-7) * std + mean
    x[index] = y * sign


def _flip(x: Tensor, mask: Tensor | None, u_BN: Floats, config: VolumeAugment) -> tuple[Tensor, Tensor | None]:
    for name in config.flip:
        axis = "zyx".index(name)
        index = torch.from_numpy(_rows(u_BN[:, _FLIP + axis] < 0.5)).to(x.device)
        if len(index) > 0:
            x[index] = x[index].flip(2 + axis)
            if mask is not None:
                mask[index] = mask[index].flip(1 + axis)
    return x, mask


def _rows(chosen_B: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = np.flatnonzero(chosen_B)
    return rows


def _between(u: Floats, limits: tuple[float, float]) -> Floats:
    return limits[0] + (limits[1] - limits[0]) * u


def _in_halves(u: Floats, limits: tuple[float, float]) -> Floats:
    """Below 1 as often as above, as nnU-Net draws factors and exponents; uniform in each half."""
    low, high = min(1.0, limits[0]), max(1.0, limits[1])
    if limits[0] >= 1 or limits[1] <= 1:
        return _between(u, limits)
    return np.where(u < 0.5, low + (1 - low) * 2 * u, 1 + (high - 1) * (2 * u - 1))


def _column(values_nC: Floats, like: Tensor) -> Tensor:
    return torch.from_numpy(values_nC.astype(np.float32)).to(like.device)[:, :, None, None, None]
