"""Crops of volumes for training: which one is read is a pure function of (seed, position).

C channels. A crop is the patch and a margin about it, which augmentation turns into the patch. What lies outside the
case has the value that normalises to 0, and background in the mask, as in nnU-Net.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fiducial_engine.config import InputNormalization, Structure
from fiducial_engine.randomness import Purpose, uniforms
from fiducial_engine.sampling import Rows
from fiducial_engine.stored_array import Triple
from fiducial_engine.volumes import Volume, VolumeSet

(_FOREGROUND, _STRUCTURE, _VOXEL, _Z, _Y, _X) = range(6)


class Crops:
    """What the loader reads for segmentation: crops of image and mask."""

    def __init__(
        self,
        volumes: VolumeSet,
        structures: tuple[Structure, ...],
        normalization: InputNormalization,
        *,
        patch: Triple,
        margin: Triple,
        foreground_fraction: float,
        seed: int,
    ) -> None:
        """
        Args:
            margin: voxels read on either side of the patch.
            foreground_fraction: share of crops centred on a voxel of a structure, drawn evenly among those present.
        """
        self._volumes = volumes
        self._values = [s.values for s in structures]
        self._patch = patch
        self._margin = margin
        self._foreground_fraction = foreground_fraction
        self._seed = seed
        self._empty_C = empty_values(normalization, volumes.dtype)
        z, y, x = (side + 2 * m for side, m in zip(patch, margin, strict=True))
        self.image_shape = (volumes.index.preprocess.channels, z, y, x)
        self.image_dtype = torch_dtype(volumes.dtype)
        self.target_shape = (z, y, x)
        self.target_dtype = torch.uint8

    def read(self, rows_B: Rows, positions_B: Rows, image: NDArray[Any], target: NDArray[Any]) -> None:
        """Copy the crop of each position from its row's case into (B, C, z, y, x) and (B, z, y, x)."""
        u_BN = uniforms(self._seed, Purpose.CROP, positions_B, 6)
        for row, u, one, mask in zip(rows_B.tolist(), u_BN, image, target, strict=True):
            volume = self._volumes[row]
            low = self.patch_of(volume, u)
            z, y, x = (at - m for at, m in zip(low, self._margin, strict=True))
            one[...] = self._empty_C[:, None, None, None]
            mask[...] = 0
            volume.crop((z, y, x), one, mask)

    def patch_of(self, volume: Volume, u: NDArray[np.float64]) -> Triple:
        """Where the patch starts: within the case, or, along a side shorter than its own, anywhere about the case."""
        sides = volume.image.shape[1:]
        centre = self._foreground_voxel(volume, u)
        low = []
        for axis, number in enumerate((u[_Z], u[_Y], u[_X])):
            room = sides[axis] - self._patch[axis]
            if centre is None or room < 0:
                anywhere = int(number * (abs(room) + 1))
                low.append(anywhere if room >= 0 else -anywhere)
            else:
                low.append(min(max(0, centre[axis] - self._patch[axis] // 2), room))
        z, y, x = low
        return z, y, x

    def _foreground_voxel(self, volume: Volume, u: NDArray[np.float64]) -> Triple | None:
        if u[_FOREGROUND] >= self._foreground_fraction:
            return None
        present = [stretches for stretches in map(volume.foreground, self._values) if stretches]
        if not present:
            return None
        stretches = present[int(u[_STRUCTURE] * len(present))]
        drawn = int(u[_VOXEL] * sum(end - first for first, end in stretches))
        for first, end in stretches:
            if drawn < end - first:
                return volume.foreground_voxel(first + drawn)
            drawn -= end - first
        raise AssertionError("a voxel beyond the last")


def empty_values(normalization: InputNormalization, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The stored value nearest to what normalises to 0, per channel: what a case is continued with."""
    stored = np.asarray(normalization.mean) / normalization.scale - normalization.offset
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        stored = np.clip(np.floor(stored + 0.5), info.min, info.max)
    return stored.astype(dtype)


def torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    """The same type in torch."""
    return torch.from_numpy(np.empty(0, dtype)).dtype
