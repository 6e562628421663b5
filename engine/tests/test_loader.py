from pathlib import Path

import numpy as np
import pytest
from test_shards import engine_data
from tiny_set import make_run, make_set, run

from fiducial_engine.errors import UserError
from fiducial_engine.loader import Loader
from fiducial_engine.open_data import open_images
from fiducial_engine.sampling import PartRows, Sampler
from fiducial_engine.shards import ShardSet, Tables
from fiducial_engine.tasks.classify import LabelledSamples


def opened(folder: Path) -> tuple[ShardSet, Tables, Sampler]:
    shards, tables = open_images(engine_data(make_set(folder)), ("finding",))
    rows = PartRows(tables.part_N, shards.start, 1)
    return shards, tables, Sampler(rows, seed=0, global_batch=8, streams=4, window=2)


def samples_of(shards: ShardSet, tables: Tables) -> LabelledSamples:
    return LabelledSamples(shards, tables.labels_NL, shards.sample_shape)


def test_micro_batches_of_all_ranks_make_up_the_global_batch(tmp_path: Path) -> None:
    shards, tables, sampler = opened(tmp_path / "set")
    for step in (0, 5):
        rows = []
        for rank in range(2):
            loader = Loader(
                samples_of(shards, tables), sampler, first_step=step, end_step=99, accumulate=3, rank=rank, world_size=2
            )
            batches = next(iter(loader))
            loader.close()
            assert len(batches) == 3
            for batch in batches:
                assert np.all(np.diff(batch.rows_B) >= 0)
                assert np.array_equal(sampler.rows_at(batch.positions_B), batch.rows_B)
                assert np.array_equal(batch.target.numpy(), tables.labels_NL[batch.rows_B])
                expected = np.empty(batch.image.shape, np.uint8)
                shards.gather(batch.rows_B, expected)
                assert np.array_equal(batch.image.numpy(), expected)
                rows.append(batch.rows_B)
        assert sorted(np.concatenate(rows)) == sorted(sampler.rows_at(sampler.positions(step)))


def test_a_failure_while_reading_ahead_is_raised_where_the_batch_is_asked_for(tmp_path: Path) -> None:
    shards, tables, sampler = opened(tmp_path / "set")
    for file in (tmp_path / "set" / "shards").iterdir():
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    loader = Loader(samples_of(shards, tables), sampler, first_step=0, end_step=3)
    with loader, pytest.raises(UserError, match="is damaged"):
        list(loader)


def test_the_loader_ends_after_its_last_step_and_counts_waiting(tmp_path: Path) -> None:
    shards, tables, sampler = opened(tmp_path / "set")
    loader = Loader(samples_of(shards, tables), sampler, first_step=2, end_step=5)
    assert len(list(loader)) == 3
    assert loader.wait_seconds > 0


def test_a_failure_while_the_loader_reads_ahead_ends_the_process_with_its_message(tmp_path: Path) -> None:
    # A loader's thread that outlives the interpreter aborts it: code 134 instead of 2.
    run_dir = make_run(tmp_path / "run", make_set(tmp_path / "set"), train__epochs=500, train__lr=1e30)
    code, last, err = run("train", "--run-dir", str(run_dir), "--generation", "1")
    assert code == 2, err
    assert "is not finite" in last["error"]


def test_pixels_are_those_of_their_rows_until_the_next_step_is_asked_for(tmp_path: Path) -> None:
    shards, tables, sampler = opened(tmp_path / "set")
    with Loader(samples_of(shards, tables), sampler, first_step=0, end_step=40, accumulate=2) as loader:
        for batches in loader:
            for batch in batches:
                expected = np.empty(batch.image.shape, np.uint8)
                shards.gather(batch.rows_B, expected)
                assert np.array_equal(batch.image.numpy(), expected)
