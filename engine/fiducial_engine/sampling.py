"""Which sample is read at which position: a pure function of (seed, epoch, position), never a state.

Training reads an endless sequence of positions: step t's global batch of B samples is positions tB … tB + B - 1, and
epoch e is positions en … en + n - 1 over the n training samples. Batches run across the border of two epochs, so every
batch is whole and every sample is read exactly once in each epoch.

Order is two-level. Each epoch permutes the shards and lays their training rows end to end; S canonical streams take
one contiguous stretch each. A stream is cut into windows of shards, and each window is shuffled as a whole. Position p
reads stream p mod S; S divides B, so slot i of a batch always reads stream i mod S, and rank r of W, which takes the
slots i = r mod W, reads only its own streams when W divides S: nodes then read disjoint shards. Nothing depends on
the world size but which rank reads a slot. Memory grows with shards and with the windows in use, not with samples.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fiducial_engine.randomness import Purpose, permutation

Rows = NDArray[np.int64]


def num_streams(wanted: int, global_batch: int, num_shards: int, window: int) -> int:
    """Streams that are used: a divisor of the global batch, at most `wanted`, each with a window of shards or more.

    A set of few shards gets one stream, which is then shuffled as widely as the window allows.
    """
    most = max(1, min(wanted, num_shards // window, global_batch))
    return next(s for s in range(most, 0, -1) if global_batch % s == 0)


class PartRows:
    """Rows of one part of the split, found shard by shard: row numbers count through the set in shard order."""

    def __init__(self, part_N: NDArray[np.uint8], shard_start: Rows, code: int) -> None:
        """`shard_start` has one entry a shard and one past the end; `code` is 1 train, 2 val, 3 test."""
        self._part_N = part_N
        self._start = shard_start
        self._code = code
        self.count_per_shard = np.array([len(self.of_shard(k)) for k in range(len(shard_start) - 1)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.count_per_shard.sum())

    def of_shard(self, shard: int) -> Rows:
        """This part's rows of one shard, ascending."""
        first, end = int(self._start[shard]), int(self._start[shard + 1])
        rows: Rows = np.flatnonzero(self._part_N[first:end] == self._code) + first
        return rows

    def all(self) -> Rows:
        """Every row of the part, ascending: for validation, which holds one row number a case."""
        return np.concatenate([self.of_shard(k) for k in range(len(self.count_per_shard))] or [np.empty(0, np.int64)])


class Sampler:
    """Rows for any positions of the endless training sequence."""

    def __init__(self, rows: PartRows, *, seed: int, global_batch: int, streams: int, window: int) -> None:
        self._rows = rows
        self._seed = seed
        self._window = window
        self.num_samples = len(rows)
        self.global_batch = global_batch
        filled = int(np.count_nonzero(rows.count_per_shard))
        self.num_streams = num_streams(streams, global_batch, filled, window)
        self._epoch = lru_cache(maxsize=2)(self._lay_out_epoch)
        # Two windows a stream cover the border of windows and of epochs.
        self._window_rows = lru_cache(maxsize=2 * self.num_streams)(self._shuffle_window)

    def positions(self, step: int, rank: int = 0, world_size: int = 1) -> Rows:
        """Positions that a rank reads in a step, ascending: the slots i = rank mod world_size."""
        first = step * self.global_batch
        return np.arange(first + rank, first + self.global_batch, world_size, dtype=np.int64)

    def rows_at(self, positions: Rows) -> Rows:
        """The row read at each of ascending positions."""
        found = np.empty(len(positions), dtype=np.int64)
        epoch_of = positions // self.num_samples
        for epoch in _distinct(epoch_of):
            in_epoch = slice(*np.searchsorted(epoch_of, [epoch, epoch + 1]).tolist())
            at = positions[in_epoch]
            # Of the positions that read one stream, the epoch's first has index 0.
            index = (at - epoch * self.num_samples) // self.num_streams
            stream_of = at % self.num_streams
            rows = found[in_epoch]
            for stream in range(self.num_streams):
                here = np.flatnonzero(stream_of == stream)
                if len(here) > 0:
                    rows[here] = self._read_stream(epoch, stream, index[here])
        return found

    def _read_stream(self, epoch: int, stream: int, index: Rows) -> Rows:
        ends = self._epoch(epoch).window_ends[stream]
        window_of = np.searchsorted(ends, index, side="right")
        parts = []
        for window in _distinct(window_of):
            first = int(ends[window - 1]) if window > 0 else 0
            parts.append(self._window_rows(epoch, stream, window)[index[window_of == window] - first])
        return np.concatenate(parts)

    def _lay_out_epoch(self, epoch: int) -> _EpochLayout:
        filled = np.flatnonzero(self._rows.count_per_shard)
        order = filled[permutation(self._seed, Purpose.SHARD_ORDER, len(filled), epoch)]
        first, n, s = epoch * self.num_samples, self.num_samples, self.num_streams
        # Samples of stream k: positions of this epoch that are k modulo S.
        lengths = [(n - (k - first) % s + s - 1) // s for k in range(s)]
        return _EpochLayout(order, self._rows.count_per_shard[order], lengths, self._window)

    def _shuffle_window(self, epoch: int, stream: int, window: int) -> Rows:
        pieces = self._epoch(epoch).pieces(stream, window)
        rows = np.concatenate([self._rows.of_shard(shard)[low:high] for shard, low, high in pieces])
        order = permutation(self._seed, Purpose.WINDOW_ORDER, len(rows), epoch, stream, window)
        shuffled: Rows = rows[order]
        return shuffled


def _distinct(ascending: NDArray[np.int64]) -> list[int]:
    first, last = int(ascending[0]), int(ascending[-1])
    return [first] if first == last else np.unique(ascending).tolist()


class _EpochLayout:
    """One epoch's permuted shards, laid end to end and cut into streams and windows."""

    def __init__(self, order: Rows, counts: Rows, lengths: list[int], window: int) -> None:
        self._order = order
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts
        self._cuts: list[list[tuple[int, int]]] = []  # Per stream: [first, end) of each window in the laid-out rows.
        self.window_ends: list[Rows] = []  # Per stream: index in the stream at which each window ends.
        first = 0
        for length in lengths:
            self._cuts.append(self._windows(first, first + length, window))
            self.window_ends.append(np.array([end - first for _, end in self._cuts[-1]], dtype=np.int64))
            first += length

    def _windows(self, first: int, end: int, window: int) -> list[tuple[int, int]]:
        """Windows of about equally many shards, at most `window`, over laid-out rows first … end - 1."""
        if end <= first:
            return []
        low = int(np.searchsorted(self._ends, first, side="right"))
        high = int(np.searchsorted(self._starts, end, side="left"))
        groups = np.array_split(np.arange(low, high), -(-(high - low) // window))
        return [(max(first, int(self._starts[g[0]])), min(end, int(self._ends[g[-1]]))) for g in groups]

    def pieces(self, stream: int, window: int) -> list[tuple[int, int, int]]:
        """(shard, low, high): the training rows of a shard, counted within it, that a window holds."""
        first, end = self._cuts[stream][window]
        low = int(np.searchsorted(self._ends, first, side="right"))
        high = int(np.searchsorted(self._starts, end, side="left"))
        return [
            (
                int(self._order[k]),
                max(first, int(self._starts[k])) - int(self._starts[k]),
                min(end, int(self._ends[k])) - int(self._starts[k]),
            )
            for k in range(low, high)
        ]
