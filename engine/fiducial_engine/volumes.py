"""Volumes of a prepared set, one case a shard: memory-mapped, so that a crop reads its own part of the file only.

C channels; Z, Y, X voxels of a case, each case its own.
"""

from __future__ import annotations

import math
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
            one[...] = self[row].whole_image()

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
    """One case: `image_CZYX` of the stored type, and `mask_ZYX` of the source's values where there are masks.

    Both are memory maps that read no page ahead: the kernel would read 128 kB around each, which for a crop of a large
    case is most of the case. So whoever reads asks for its pages first.
    """

    def __init__(self, path: Path, *, has_mask: bool) -> None:
        stored = stored_tensors(path, ["image", "mask", "foreground"] if has_mask else ["image"])
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_RANDOM)
        self._stored = stored
        self.image_CZYX = self._view(stored["image"])
        self.mask_ZYX: NDArray[np.uint8] | None = self._view(stored["mask"]) if has_mask else None
        self._foreground_M4 = self._view(stored["foreground"]) if has_mask else np.empty((0, 4), np.int32)
        self._rows_of_value: dict[int, tuple[int, int]] | None = None

    def whole_image(self) -> NDArray[Any]:
        """A copy of the image (C, Z, Y, X)."""
        self._read_soon(self._stored["image"].offset, self.image_CZYX.nbytes)
        return np.array(self.image_CZYX)

    def whole_mask(self) -> NDArray[np.uint8]:
        """A copy of the mask (Z, Y, X)."""
        assert self.mask_ZYX is not None
        self._read_soon(self._stored["mask"].offset, self.mask_ZYX.nbytes)
        return np.array(self.mask_ZYX)

    def foreground(self, values: tuple[int, ...]) -> list[tuple[int, int]]:
        """Stretches [first, end) of the foreground's rows that have one of these mask values."""
        if self._rows_of_value is None:
            if len(self._foreground_M4) > 0:
                self._read_soon(self._stored["foreground"].offset, self._foreground_M4.nbytes)
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
        whole = slice(None)
        to, of = (whole, *target), (whole, *source)
        self._read_box_soon(self._stored["image"], source)
        image_out[to] = self.image_CZYX[of]
        if mask_out is not None and self.mask_ZYX is not None:
            self._read_box_soon(self._stored["mask"], source)
            mask_out[target] = self.mask_ZYX[source]

    def _read_box_soon(self, stored: StoredTensor, box: tuple[slice, ...]) -> None:
        """One request a slice and channel, instead of one a page."""
        *channels, depth, height, width = stored.shape
        z, y, _ = box
        row = width * stored.dtype.itemsize
        for channel in range(math.prod(channels)):
            for slice_z in range(z.start, z.stop):
                first = ((channel * depth + slice_z) * height + y.start) * row
                self._read_soon(stored.offset + first, (y.stop - y.start) * row)

    def _read_soon(self, offset: int, num_bytes: int) -> None:
        if hasattr(self._map, "madvise"):
            page = offset // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, page, offset + num_bytes - page)

    def _view(self, stored: StoredTensor) -> NDArray[Any]:
        count = math.prod(stored.shape)
        return np.frombuffer(self._map, stored.dtype, count, stored.offset).reshape(stored.shape)
