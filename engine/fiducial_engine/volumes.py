"""Volumes of a prepared set, one case a shard: memory-mapped, so that a crop reads its own part of the file only.

C channels; Z, Y, X voxels of a case, each case its own.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiducial_engine.config import VolumeShardIndex
from fiducial_engine.errors import UserError
from fiducial_engine.shards import PREPARE_AGAIN, OpenShards, stored_tensors
from fiducial_engine.stored_array import BrickArray, PlainArray, StoredArray, Triple, whole

Box = tuple[slice, slice, slice]


class VolumeSet:
    """Cases of a prepared set."""

    def __init__(self, folder: Path, index: VolumeShardIndex, size: Triple | None) -> None:
        """
        Args:
            size: [z, y, x] of every case; None where each has its own.

        Raises:
            UserError: naming every shard that is missing or has not the size that index.json says.
        """
        self.folder = folder
        self.index = index
        self.dtype = np.dtype(index.dtype)
        self._size = size
        self.start = np.arange(len(index.shards) + 1, dtype=np.int64)
        self._volumes = OpenShards(folder, index, self._open)

    def __len__(self) -> int:
        return len(self.index.shards)

    def __getitem__(self, row: int) -> Volume:
        """
        Raises:
            UserError: the case's file is damaged; it is named.
        """
        return self._volumes[row]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(C, Z, Y, X) of cases of one size."""
        assert self._size is not None
        return (self.index.preprocess.channels, *self._size)

    def gather(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Copy whole cases of one size into `out` (len(rows), C, Z, Y, X)."""
        for row, one in zip(rows.tolist(), out, strict=True):
            one[...] = whole(self[row].image)

    def largest(self) -> Triple:
        """The longest side of any case along each axis, read from the files' headers."""
        z, y, x = np.max([self._shape(self.folder / s.file)[1:] for s in self.index.shards], axis=0).tolist()
        return z, y, x

    def _shape(self, path: Path) -> tuple[int, ...]:
        if self.index.brick is None:
            return stored_tensors(path, ["image"])["image"].shape
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return tuple(_numbers(mapped, path, "image_shape").tolist())

    def _open(self, path: Path, k: int) -> Volume:
        volume = Volume(path, self.dtype, self.index.brick, has_mask=self.index.has_masks)
        image, mask = volume.image, volume.mask
        expected = (self.dtype, self.index.preprocess.channels)
        shape = image.shape[1:]
        if (image.dtype, *image.shape[:1]) != expected or (self._size not in (None, shape)) or len(shape) != 3:
            raise UserError(
                f"{path.name} holds {image.dtype} {image.shape}; index.json says {self.dtype} with {expected[1]} "
                f"channels.\n  in: {self.folder}\n{PREPARE_AGAIN}"
            )
        if mask is not None and (mask.shape != shape or mask.dtype != np.uint8):
            raise UserError(f"{path.name}: the mask is {mask.dtype} {mask.shape}, its image {shape}.\n{PREPARE_AGAIN}")
        return volume


class Volume:
    """One case: `image` (C, Z, Y, X) of the stored type, and where there are masks `mask` (Z, Y, X), as in the source.

    The file is mapped without reading ahead: the kernel would read 128 kB around each page, which for a crop of a large
    case is most of the case.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], brick: Triple | None, *, has_mask: bool) -> None:
        """
        Args:
            brick: [z, y, x] of the bricks that it is deflated in; None where it is stored plainly.
        """
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_RANDOM)
        self.image: StoredArray = self._array(path, "image", dtype, brick)
        self.mask: StoredArray | None = None
        self._foreground: PlainArray | None = None
        if has_mask:
            self.mask = self._array(path, "mask", np.dtype(np.uint8), brick)
            self._foreground = PlainArray(self._map, stored_tensors(path, ["foreground"])["foreground"])
        self._rows_of_value: dict[int, tuple[int, int]] | None = None

    def foreground(self, values: tuple[int, ...]) -> list[tuple[int, int]]:
        """Stretches [first, end) of the foreground's rows that have one of these mask values."""
        if self._rows_of_value is None:
            rows_M4 = self._foreground.rows() if self._foreground is not None else np.empty((0, 4), np.int32)
            present, first = np.unique(rows_M4[:, 0], return_index=True)
            # A mask without any structure has no row.
            ends = [*first.tolist(), len(rows_M4)][1:]
            self._rows_of_value = dict(zip(present.tolist(), zip(first.tolist(), ends, strict=True), strict=True))
        return [self._rows_of_value[v] for v in values if v in self._rows_of_value]

    def foreground_voxel(self, row: int) -> Triple:
        """[z, y, x] of a row of the foreground."""
        assert self._foreground is not None
        _, z, y, x = self._foreground.view[row].tolist()
        return z, y, x

    def crop(self, low: Triple, image_out: NDArray[Any], mask_out: NDArray[np.uint8] | None) -> None:
        """Copy the box that starts at `low` into (C, z, y, x) and (z, y, x); what lies outside the case is left alone.

        Args:
            low: [z, y, x]; may be negative.
        """
        sides = self.image.shape[1:]
        begin = [max(0, at) for at in low]
        end = [min(side, at + size) for side, at, size in zip(sides, low, image_out.shape[1:], strict=True)]
        if any(b >= e for b, e in zip(begin, end, strict=True)):
            return
        source = _box(begin, end)
        z, y, x = (slice(b - at, e - at) for b, e, at in zip(begin, end, low, strict=True))
        self.image.read(source, image_out[:, z, y, x])
        if mask_out is not None and self.mask is not None:
            self.mask.read(source, mask_out[z, y, x])

    def _array(self, path: Path, name: str, dtype: np.dtype[Any], brick: Triple | None) -> StoredArray:
        if brick is None:
            return PlainArray(self._map, stored_tensors(path, [name])[name])
        bricks = stored_tensors(path, [f"{name}_bricks"])[f"{name}_bricks"]
        shape = tuple(_numbers(self._map, path, f"{name}_shape").tolist())
        return BrickArray(self._map, bricks, _numbers(self._map, path, f"{name}_ends"), shape, dtype, brick)


def _numbers(mapped: mmap.mmap, path: Path, name: str) -> NDArray[Any]:
    return PlainArray(mapped, stored_tensors(path, [name])[name]).rows()


def _box(begin: list[int], end: list[int]) -> Box:
    z, y, x = (slice(b, e) for b, e in zip(begin, end, strict=True))
    return z, y, x
