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
from fiducial_engine.shards import PREPARE_AGAIN, OpenShards, StoredTensor, stored_tensors

Triple = tuple[int, int, int]


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
            one[...] = self[row].image_CZYX

    def largest(self) -> Triple:
        """The longest side of any case along each axis, read from the files' headers."""
        shapes = [stored_tensors(self.folder / s.file, ["image"])["image"].shape[1:] for s in self.index.shards]
        z, y, x = np.max(shapes, axis=0).tolist()
        return z, y, x

    def _open(self, path: Path, k: int) -> Volume:
        volume = Volume(path, has_mask=self.index.has_masks)
        found = (volume.image_CZYX.dtype, *volume.image_CZYX.shape[:1])
        expected = (self.dtype, self.index.preprocess.channels)
        shape = volume.image_CZYX.shape[1:]
        mask = volume.mask_ZYX
        if found != expected or (self._size is not None and shape != self._size) or len(shape) != 3:
            raise UserError(
                f"{path.name} holds {volume.image_CZYX.dtype} {volume.image_CZYX.shape}; index.json says {self.dtype} "
                f"with {expected[1]} channels.\n  in: {self.folder}\n{PREPARE_AGAIN}"
            )
        if mask is not None and (mask.shape != shape or mask.dtype != np.uint8):
            raise UserError(f"{path.name}: the mask is {mask.dtype} {mask.shape}, its image {shape}.\n{PREPARE_AGAIN}")
        return volume


class Volume:
    """One case: `image_CZYX` of the stored type, and `mask_ZYX` of the source's values where there are masks."""

    def __init__(self, path: Path, *, has_mask: bool) -> None:
        stored = stored_tensors(path, ["image", "mask", "foreground"] if has_mask else ["image"])
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if hasattr(self._map, "madvise"):
            # The kernel would read 128 kB around each page: for a crop of a large case, most of the case.
            self._map.madvise(mmap.MADV_RANDOM)
        self._image = stored["image"]
        self.image_CZYX = self._view(self._image)
        self.mask_ZYX: NDArray[np.uint8] | None = None
        self._foreground_M4 = np.empty((0, 4), np.int32)
        if has_mask:
            self.mask_ZYX = self._view(stored["mask"])
            self._foreground_M4 = self._view(stored["foreground"])
        self._rows_of_value: dict[int, tuple[int, int]] | None = None

    def foreground(self, values: tuple[int, ...]) -> list[tuple[int, int]]:
        """Stretches [first, end) of the foreground's rows that have one of these mask values."""
        if self._rows_of_value is None:
            present, first = np.unique(self._foreground_M4[:, 0], return_index=True)
            ends = [*first[1:].tolist(), len(self._foreground_M4)]
            self._rows_of_value = dict(zip(present.tolist(), zip(first.tolist(), ends, strict=True), strict=True))
        return [self._rows_of_value[v] for v in values if v in self._rows_of_value]

    def foreground_voxel(self, row: int) -> Triple:
        """[z, y, x] of a row of the foreground."""
        _, z, y, x = self._foreground_M4[row].tolist()
        return z, y, x

    def crop(self, low: Triple, image_out: NDArray[Any], mask_out: NDArray[np.uint8] | None) -> None:
        """Copy the box that starts at `low` into (C, z, y, x) and (z, y, x); what lies outside the case is left alone.

        Args:
            low: [z, y, x]; may be negative.
        """
        sides = self.image_CZYX.shape[1:]
        begin = [max(0, at) for at in low]
        end = [min(side, at + size) for side, at, size in zip(sides, low, image_out.shape[1:], strict=True)]
        if any(b >= e for b, e in zip(begin, end, strict=True)):
            return
        source = tuple(slice(b, e) for b, e in zip(begin, end, strict=True))
        target = tuple(slice(b - at, e - at) for b, e, at in zip(begin, end, low, strict=True))
        self._read_soon(source)
        whole = slice(None)
        to, of = (whole, *target), (whole, *source)
        image_out[to] = self.image_CZYX[of]
        if mask_out is not None and self.mask_ZYX is not None:
            mask_out[target] = self.mask_ZYX[source]

    def _read_soon(self, box: tuple[slice, ...]) -> None:
        """Ask for the image's pages of a box in one request a slice, instead of one a page."""
        if not hasattr(self._map, "madvise"):
            return
        z, y, _ = box
        channels, sides = self.image_CZYX.shape[0], self.image_CZYX.shape[1:]
        row = sides[2] * self._image.dtype.itemsize
        for channel in range(channels):
            for slice_z in range(z.start, z.stop):
                first = self._image.offset + ((channel * sides[0] + slice_z) * sides[1] + y.start) * row
                page = first // mmap.PAGESIZE * mmap.PAGESIZE
                self._map.madvise(mmap.MADV_WILLNEED, page, first + (y.stop - y.start) * row - page)

    def _view(self, stored: StoredTensor) -> NDArray[Any]:
        count = int(np.prod(stored.shape))
        return np.frombuffer(self._map, stored.dtype, count, stored.offset).reshape(stored.shape)
