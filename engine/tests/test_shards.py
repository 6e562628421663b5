import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_set import LABELS_ID, SPLIT_ID, make_set

from fiducial_engine.config import EngineImages, ImageShardIndex
from fiducial_engine.errors import UserError
from fiducial_engine.open_data import open_images
from fiducial_engine.shards import ShardSet, map_tensor
from fiducial_engine.strict import load, parse


def engine_data(data: dict[str, Any]) -> EngineImages:
    parsed: EngineImages = parse(EngineImages, data, "data")
    return parsed


def shard_set(folder: Path) -> ShardSet:
    return ShardSet(folder, load(ImageShardIndex, folder / "index.json"))


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_gathered_rows_are_the_stored_ones_in_order(tmp_path: Path, dtype: str) -> None:
    make_set(tmp_path / "set", num=23, shape=(3, 5, 4), shards=4, dtype=dtype)
    shards = shard_set(tmp_path / "set")
    whole = np.concatenate([map_tensor(tmp_path / "set" / s.file, "image") for s in shards.index.shards])
    rows = np.array([0, 2, 2, 5, 6, 11, 12, 22])
    out = np.empty((len(rows), 3, 5, 4), dtype)
    shards.gather(rows, out)
    assert np.array_equal(out, whole[rows])
    shards.gather(rows[:0], out[:0])


def test_a_shard_of_another_size_is_named_before_anything_is_read(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    file = tmp_path / "set" / "shards" / "00001.safetensors"
    file.write_bytes(file.read_bytes()[:-7])
    (tmp_path / "set" / "shards" / "00002.safetensors").unlink()
    with pytest.raises(UserError) as error:
        shard_set(tmp_path / "set")
    assert "00001.safetensors: expected" in str(error.value)
    assert "00002.safetensors: expected" in str(error.value)
    assert "fiducial prepare" in str(error.value)


def test_a_shard_with_a_flipped_bit_is_named_when_it_is_read(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    file = tmp_path / "set" / "shards" / "00001.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    shards = shard_set(tmp_path / "set")
    out = np.empty((1, 1, 12, 10), np.uint8)
    shards.gather(np.array([0]), out)
    with pytest.raises(UserError, match=r"00001\.safetensors is damaged: its sha256"):
        shards.gather(np.array([20]), out)


def test_tables_of_another_set_labels_or_split_are_refused(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set")
    open_images(engine_data(data), ("finding",))
    with pytest.raises(UserError, match=r"labels of labels\.json"):
        open_images(engine_data(data), ("other",))
    split = tmp_path / "set" / "tables" / f"split-{SPLIT_ID[:12]}" / "split.json"
    split.write_text(split.read_text().replace(LABELS_ID, "d" * 64))
    with pytest.raises(UserError, match=r"labels_id of split\.json"):
        open_images(engine_data(data), ("finding",))


@pytest.mark.parametrize("table", [f"labels-{LABELS_ID[:12]}/labels", f"split-{SPLIT_ID[:12]}/split"])
def test_a_table_with_a_flipped_bit_is_named_when_it_is_opened(tmp_path: Path, table: str) -> None:
    data = make_set(tmp_path / "set")
    file = tmp_path / "set" / "tables" / f"{table}.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"{table}\.safetensors is damaged: its sha256"):
        open_images(engine_data(data), ("finding",))


def test_another_shard_set_in_the_folder_is_refused(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set")
    index = tmp_path / "set" / "index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "set_id": "e" * 64}))
    with pytest.raises(UserError, match=r"The shard set at .* is eeeeeeeeeeee"):
        open_images(engine_data(data), ("finding",))


def test_cases_of_ascending_rows_are_read_in_one_pass(tmp_path: Path) -> None:
    _, tables = open_images(engine_data(make_set(tmp_path / "set")), ("finding",))
    assert [case.case_id for case in tables.cases(np.array([1, 4, 59]))] == ["case-001", "case-004", "case-059"]
    with pytest.raises(UserError, match="ends before row 60"):
        list(tables.cases(np.array([60])))


def test_a_file_that_is_not_safetensors_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(UserError, match=r"x\.safetensors holds no usable tensor"):
        map_tensor(tmp_path / "x.safetensors", "image")
