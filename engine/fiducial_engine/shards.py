"""The shard set as `prepare` wrote it: memory-mapped images, labels and split; checked before use, never copied.

Rows count through the set in shard order: row r is the r-th line of the labels table's cases.jsonl.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fiducial_engine.config import EngineData, ImageShardIndex, LabelsTable, ShardIndex, SplitTable, TableCase
from fiducial_engine.errors import UserError
from fiducial_engine.strict import load

_DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
}
# Each open map holds a file descriptor; systems allow 1,024 by default.
_MAX_OPEN_SHARDS = 640


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in its safetensors file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int  # Bytes from the start of the file.


def stored_tensors(path: Path, names: Iterable[str]) -> dict[str, StoredTensor]:
    """Look tensors up in the header of a safetensors file.

    Raises:
        UserError: the file is missing, is not safetensors, lacks a tensor, or is shorter than its header says.
    """
    name = ""
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length)) if length < 1 << 20 else {}
        size = path.stat().st_size
        found = {}
        for name in names:
            entry = header[name]
            dtype, (begin, end), shape = _DTYPES[entry["dtype"]], entry["data_offsets"], tuple(entry["shape"])
            if end - begin != dtype.itemsize * math.prod(shape) or size < 8 + length + end:
                raise ValueError("the file is shorter than its header says")
            found[name] = StoredTensor(dtype, shape, 8 + length + begin)
    except FileNotFoundError as cause:
        raise UserError(f"{path} is missing.\n  do: run fiducial prepare again.") from cause
    except (ValueError, KeyError, TypeError, struct.error) as cause:
        raise UserError(
            f"{path} holds no usable tensor `{name}`: {cause}\n  do: delete it and run fiducial prepare again."
        ) from cause
    return found


def map_tensor(path: Path, name: str) -> NDArray[Any]:
    """One tensor of a safetensors file as a read-only memory map.

    Raises:
        UserError: as of stored_tensors.
    """
    stored = stored_tensors(path, [name])[name]
    if 0 in stored.shape:
        return np.empty(stored.shape, stored.dtype)
    # A plain view: indexing the memmap subclass costs 20 µs of Python each time.
    return np.asarray(np.memmap(path, dtype=stored.dtype, mode="r", offset=stored.offset, shape=stored.shape))


Mapped = TypeVar("Mapped")


class OpenShards(Generic[Mapped]):
    """Shards opened as they are asked for. File sizes are checked at once, a shard's sha256 when it is first read."""

    def __init__(self, folder: Path, index: ShardIndex, open_one: Callable[[Path, int], Mapped]) -> None:
        """
        Args:
            open_one: maps shard k, given its path.

        Raises:
            UserError: naming every shard that is missing or has not the size that index.json says.
        """
        self._folder = folder
        self._shards = index.shards
        self._open_one = open_one
        self._open: OrderedDict[int, Mapped] = OrderedDict()
        self._opening = Lock()
        self._verified: set[int] = set()
        wrong = []
        for shard in self._shards:
            path = folder / shard.file
            found = path.stat().st_size if path.exists() else None
            if found != shard.bytes:
                wrong.append(
                    f"  {shard.file}: expected {shard.bytes} bytes, found {'no file' if found is None else found}"
                )
        if wrong:
            raise UserError("\n".join([f"Damaged shards in {folder}:", *wrong, PREPARE_AGAIN]))

    def __getitem__(self, k: int) -> Mapped:
        """
        Raises:
            UserError: the shard's bytes are not those that prepare wrote; the file is named.
        """
        found = self._open.get(k)
        if found is not None:
            return found
        with self._opening:  # Threads read at once; one of them checks the shard.
            found = self._open.get(k)
            if found is None:
                found = self._verify_and_open(k)
                self._open[k] = found
                if len(self._open) > _MAX_OPEN_SHARDS:
                    self._open.popitem(last=False)
        return found

    def _verify_and_open(self, k: int) -> Mapped:
        shard = self._shards[k]
        path = self._folder / shard.file
        if k not in self._verified:
            found = file_sha256(path)
            if found != shard.sha256:
                raise UserError(
                    f"{shard.file} is damaged: its sha256 is {found}, index.json says {shard.sha256}.\n"
                    f"  in: {self._folder}\n{PREPARE_AGAIN}"
                )
            self._verified.add(k)
        return self._open_one(path, k)


class ShardSet:
    """Images of a prepared set: all of one shape, many a shard."""

    def __init__(self, folder: Path, index: ImageShardIndex) -> None:
        """
        Raises:
            UserError: naming every shard that is missing or has not the size that index.json says.
        """
        self.folder = folder
        self.index = index
        self.sample_shape: tuple[int, ...] = index.sample_shape
        self.dtype = np.dtype(index.dtype)
        self.start = np.cumsum([0, *(s.num_cases for s in index.shards)], dtype=np.int64)
        self._shards = OpenShards(folder, index, self._map)

    def gather(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Copy the samples `rows`, ascending, into `out` (len(rows), C, H, W).

        One take a shard, straight into its stretch of `out`: 1.4 times the speed of a copy a sample. Threads may call
        it at once.

        Raises:
            UserError: a shard's bytes are not those that prepare wrote; the file is named.
        """
        shard_of = np.searchsorted(self.start, rows, side="right") - 1
        cuts = np.flatnonzero(np.diff(shard_of)) + 1
        for low, high in pairwise([0, *cuts.tolist(), len(rows)]):
            if low < high:
                shard = int(shard_of[low])
                local = rows[low:high] - self.start[shard]
                # mode="clip" lets take write without a buffer of its own; the rows are in range.
                self._shards[shard].take(local, 0, out[low:high], "clip")

    def _map(self, path: Path, k: int) -> NDArray[Any]:
        shard = self.index.shards[k]
        pixels = map_tensor(path, "image")
        expected = (shard.num_cases, *self.sample_shape)
        if pixels.shape != expected or pixels.dtype != self.dtype:
            raise UserError(
                f"{shard.file} holds {pixels.dtype} {pixels.shape}; index.json says {self.dtype} {expected}.\n"
                f"  in: {self.folder}\n{PREPARE_AGAIN}"
            )
        return pixels


class Tables:
    """Labels and split of a shard set: int8 (N, L) with -1 unknown, and uint8 (N,) part codes."""

    def __init__(self, data: EngineData, label_names: tuple[str, ...]) -> None:
        """
        Raises:
            UserError: a table is missing or damaged, or belongs to another shard set, label list or split.
        """
        tables = Path(data.shard_set) / "tables"
        self._labels_folder = tables / f"labels-{data.labels_id[:12]}"
        split_folder = tables / f"split-{data.split_id[:12]}"
        labels = load(LabelsTable, self._labels_folder / "labels.json")
        split = load(SplitTable, split_folder / "split.json")
        for what, found, expected in (
            ("set_id of labels.json", labels.set_id, data.set_id),
            ("labels_id of labels.json", labels.labels_id, data.labels_id),
            ("labels of labels.json", labels.labels, label_names),
            ("set_id of split.json", split.set_id, data.set_id),
            ("split_id of split.json", split.split_id, data.split_id),
            ("labels_id of split.json", split.labels_id, data.labels_id),
        ):
            if found != expected:
                raise UserError(f"{what} is {found}; run.json says {expected}.\n  in: {tables}\n{PREPARE_AGAIN}")
        for path, sha256 in (
            (self._labels_folder / "labels.safetensors", labels.sha256),
            (split_folder / "split.safetensors", split.sha256),
        ):
            if path.exists() and file_sha256(path) != sha256:
                raise UserError(
                    f"{path} is damaged: its sha256 is not the one in {path.stem}.json.\n"
                    "  do: run fiducial prepare again, which writes the table anew."
                )
        self.labels_NL = map_tensor(self._labels_folder / "labels.safetensors", "labels")
        self.part_N = map_tensor(split_folder / "split.safetensors", "part")
        if self.labels_NL.shape != (labels.num_cases, len(label_names)) or len(self.part_N) != labels.num_cases:
            raise UserError(
                f"Tables in {tables} disagree: labels {self.labels_NL.shape}, split {self.part_N.shape}, "
                f"{labels.num_cases} cases.\n{PREPARE_AGAIN}"
            )

    def cases(self, rows: NDArray[np.int64]) -> Iterator[TableCase]:
        """The cases of ascending `rows`, read from cases.jsonl in one pass."""
        wanted = iter(rows.tolist())
        row = next(wanted, None)
        with (self._labels_folder / "cases.jsonl").open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                if row is None:
                    return
                if number == row:
                    # One line a case: the keys are checked, but not each value of what prepare wrote.
                    yield TableCase(**json.loads(line))
                    row = next(wanted, None)
        if row is not None:
            raise UserError(f"cases.jsonl in {self._labels_folder} ends before row {row}.\n{PREPARE_AGAIN}")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, lower-case hex; memory stays constant whatever its size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


PREPARE_AGAIN = "  do: delete the file named and run fiducial prepare again; finished shards are kept."
