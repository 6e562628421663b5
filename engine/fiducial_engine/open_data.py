"""Opens the shard set and tables that a run names, and checks that they are those."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from fiducial_engine.config import EngineImages, EngineVolumes, ImageShardIndex, ShardIndex, VolumeShardIndex
from fiducial_engine.errors import UserError
from fiducial_engine.shards import PREPARE_AGAIN, ShardSet, Tables
from fiducial_engine.strict import load
from fiducial_engine.volumes import VolumeSet


def open_images(data: EngineImages, label_names: tuple[str, ...]) -> tuple[ShardSet, Tables]:
    """
    Raises:
        UserError: the set or a table is missing, damaged, or not that of the run.
    """
    index = _index(data)
    assert isinstance(index, ImageShardIndex)
    found = (index.sample_shape, index.dtype)
    if found != (data.sample_shape, data.dtype):
        raise UserError(f"index.json holds samples {found}; run.json says {(data.sample_shape, data.dtype)}.")
    shards = ShardSet(Path(data.shard_set), index)
    return shards, _tables(data, label_names, int(shards.start[-1]))


def open_volumes(data: EngineVolumes, label_names: tuple[str, ...]) -> tuple[VolumeSet, Tables]:
    """
    Raises:
        UserError: the set or a table is missing, damaged, or not that of the run.
    """
    index = _index(data)
    assert isinstance(index, VolumeShardIndex)
    found = (index.preprocess.channels, index.dtype)
    if found != (data.channels, data.dtype):
        raise UserError(f"index.json holds (channels, dtype) {found}; run.json says {(data.channels, data.dtype)}.")
    volumes = VolumeSet(Path(data.shard_set), index, data.size)
    return volumes, _tables(data, label_names, int(volumes.start[-1]))


def _index(data: EngineImages | EngineVolumes) -> ImageShardIndex | VolumeShardIndex:
    index: ImageShardIndex | VolumeShardIndex = load(cast(Any, ShardIndex), Path(data.shard_set) / "index.json")
    if index.set_id != data.set_id:
        raise UserError(
            f"The shard set at {data.shard_set} is {index.set_id[:12]}…; the run was made with "
            f"{data.set_id[:12]}….\n  do: prepare the run's data there again, or start another run with --new."
        )
    if index.kind != data.kind:
        raise UserError(f"The shard set at {data.shard_set} holds {index.kind}; run.json says {data.kind}.")
    return index


def _tables(data: EngineImages | EngineVolumes, label_names: tuple[str, ...], num_samples: int) -> Tables:
    tables = Tables(data, label_names)
    if len(tables.part_N) != num_samples:
        raise UserError(f"{num_samples} samples but {len(tables.part_N)} cases.\n{PREPARE_AGAIN}")
    return tables
