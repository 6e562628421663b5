"""Arrays of a shard, read a box at a time: mapped as they are, or deflated in bricks.

Shapes are (Z, Y, X) or (C, Z, Y, X); a box names the last three axes and takes all channels.
"""

from __future__ import annotations

import itertools
import math
import mmap
import zlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fiducial_engine.shards import StoredTensor

Triple = tuple[int, int, int]
Box = tuple[slice, slice, slice]


class StoredArray(Protocol):
    """An array of a file that need not be read whole."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def read(self, box: Box, out: NDArray[Any]) -> None:
        """Copy a box, with plain bounds, into `out`."""


def whole(array: StoredArray) -> NDArray[Any]:
    """A copy of all of it."""
    out = np.empty(array.shape, array.dtype)
    z, y, x = array.shape[-3:]
    array.read((slice(0, z), slice(0, y), slice(0, x)), out)
    return out


class PlainArray:
    """As it lies in the file. The map reads no page ahead, so a box asks for its pages first."""

    def __init__(self, mapped: mmap.mmap, stored: StoredTensor) -> None:
        self._map = mapped
        self._offset = stored.offset
        self.view = np.frombuffer(mapped, stored.dtype, math.prod(stored.shape), stored.offset).reshape(stored.shape)
        self.shape: tuple[int, ...] = stored.shape
        self.dtype = stored.dtype

    def read(self, box: Box, out: NDArray[Any]) -> None:
        self._read_soon(box)
        z, y, x = box
        out[...] = self.view[..., z, y, x]

    def rows(self) -> NDArray[Any]:
        """All of it, as a view."""
        if self.view.nbytes > 0:
            read_soon(self._map, self._offset, self.view.nbytes)
        return self.view

    def _read_soon(self, box: Box) -> None:
        """One request a slice and channel, instead of one a page."""
        *channels, depth, height, width = self.shape
        z, y, _ = box
        row = width * self.dtype.itemsize
        for channel in range(math.prod(channels)):
            for slice_z in range(z.start, z.stop):
                first = ((channel * depth + slice_z) * height + y.start) * row
                read_soon(self._map, self._offset + first, (y.stop - y.start) * row)


class BrickArray:
    """Deflated in bricks, of each channel those along x first; bricks at the far ends are as small as is left."""

    def __init__(
        self,
        mapped: mmap.mmap,
        bricks: StoredTensor,
        ends_N: NDArray[np.int64],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        brick: Triple,
    ) -> None:
        """
        Args:
            bricks: the deflated bytes of all bricks, one behind the other.
            ends_N: where each brick's bytes end.
        """
        self._map = mapped
        self._offset = bricks.offset
        self._ends = [0, *ends_N.tolist()]
        self._brick = brick
        self._grid = [math.ceil(side / b) for side, b in zip(shape[-3:], brick, strict=True)]
        self.shape = shape
        self.dtype = dtype

    def read(self, box: Box, out: NDArray[Any]) -> None:
        channels = math.prod(self.shape[:-3])
        flat = out.reshape(channels, *out.shape[-3:])
        spans = [range(b.start // size, math.ceil(b.stop / size)) for b, size in zip(box, self._brick, strict=True)]
        for channel, z, y, x in itertools.product(range(channels), *spans):
            at = [z, y, x]
            low = [n * size for n, size in zip(at, self._brick, strict=True)]
            high = [min(side, a + size) for a, size, side in zip(low, self._brick, self.shape[-3:], strict=True)]
            part = self._inflate(channel, at, [b - a for a, b in zip(low, high, strict=True)])
            within, target = [], []
            for a, b, wanted in zip(low, high, box, strict=True):
                first, end = max(a, wanted.start), min(b, wanted.stop)
                within.append(slice(first - a, end - a))
                target.append(slice(first - wanted.start, end - wanted.start))
            to_z, to_y, to_x = target
            flat[channel, to_z, to_y, to_x] = part[tuple(within)]

    def _inflate(self, channel: int, at: list[int], sides: list[int]) -> NDArray[Any]:
        z, y, x = at
        number = ((channel * self._grid[0] + z) * self._grid[1] + y) * self._grid[2] + x
        first, end = self._offset + self._ends[number], self._offset + self._ends[number + 1]
        read_soon(self._map, first, end - first)
        return np.frombuffer(zlib.decompress(self._map[first:end]), self.dtype).reshape(sides)


def read_soon(mapped: mmap.mmap, offset: int, num_bytes: int) -> None:
    """Ask for pages before they are touched, where the system takes advice."""
    if hasattr(mapped, "madvise"):
        page = offset // mmap.PAGESIZE * mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, page, offset + num_bytes - page)
