import numpy as np
import pytest

from fiducial_engine.sampling import PartRows, Sampler, num_streams

SIZES = [7, 1, 0, 12, 5, 9, 3, 8, 8, 2]  # Cases per shard; a shard may hold none of a part.


def part_rows(sizes: list[int] = SIZES) -> PartRows:
    start = np.cumsum([0, *sizes])
    part_N = (np.arange(start[-1]) % 4 != 0).astype(np.uint8)  # Every fourth case belongs to no part.
    return PartRows(part_N, start, code=1)


def sampler(*, global_batch: int = 6, streams: int = 3, window: int = 2, seed: int = 0) -> Sampler:
    return Sampler(part_rows(), seed=seed, global_batch=global_batch, streams=streams, window=window)


@pytest.mark.parametrize("global_batch", [1, 4, 6, 37, 64])
@pytest.mark.parametrize(("streams", "window"), [(1, 1), (3, 2), (64, 1), (5, 100)])
def test_every_sample_is_read_exactly_once_in_each_epoch(global_batch: int, streams: int, window: int) -> None:
    s = sampler(global_batch=global_batch, streams=streams, window=window)
    n = s.num_samples
    rows = s.rows_at(np.arange(3 * n))
    for epoch in range(3):
        assert sorted(rows[epoch * n : (epoch + 1) * n]) == part_rows().all().tolist()


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_every_world_size_sees_the_same_global_batches(world_size: int) -> None:
    s = sampler()
    for step in range(20):
        whole = s.rows_at(s.positions(step))
        shares = [s.rows_at(s.positions(step, rank, world_size)) for rank in range(world_size)]
        assert sorted(np.concatenate(shares)) == sorted(whole)


def test_a_sample_is_a_function_of_its_position_whatever_was_read_before() -> None:
    in_order = sampler().rows_at(np.arange(100))
    one = sampler()
    assert [int(one.rows_at(np.array([p]))[0]) for p in (99, 3, 57)] == [in_order[99], in_order[3], in_order[57]]


def test_epochs_and_seeds_differ_in_order() -> None:
    s, n = sampler(), sampler().num_samples
    rows = s.rows_at(np.arange(2 * n))
    assert not np.array_equal(rows[:n], rows[n:])
    assert not np.array_equal(rows[:n], sampler(seed=1).rows_at(np.arange(n)))


def test_ranks_that_divide_the_streams_read_disjoint_shards_but_for_the_border() -> None:
    sizes = [16] * 16
    rows = PartRows(np.ones(256, np.uint8), np.cumsum([0, *sizes]), code=1)
    s = Sampler(rows, seed=0, global_batch=8, streams=4, window=2)
    assert s.num_streams == 4
    shards = [{int(r) // 16 for step in range(32) for r in s.rows_at(s.positions(step, rank, 2))} for rank in range(2)]
    assert len(shards[0]) == len(shards[1]) == 8
    assert not shards[0] & shards[1]


def test_a_window_mixes_its_shards() -> None:
    sizes = [50] * 4
    rows = PartRows(np.ones(200, np.uint8), np.cumsum([0, *sizes]), code=1)
    s = Sampler(rows, seed=0, global_batch=10, streams=1, window=2)
    first = s.rows_at(np.arange(20)) // 50
    assert len(set(first.tolist())) == 2


def test_few_shards_make_one_stream_and_streams_divide_the_batch() -> None:
    assert num_streams(64, 32, num_shards=3, window=8) == 1
    assert num_streams(64, 32, num_shards=1000, window=8) == 32
    assert num_streams(64, 256, num_shards=1000, window=8) == 64
    assert num_streams(64, 30, num_shards=100, window=8) == 10


def test_memory_does_not_grow_with_samples() -> None:
    # 10^6 samples in 1,000 shards: one batch touches the windows of its streams only.
    sizes = np.full(1000, 1000)
    rows = PartRows(np.ones(1_000_000, np.uint8), np.concatenate([[0], np.cumsum(sizes)]), code=1)
    s = Sampler(rows, seed=0, global_batch=64, streams=64, window=4)
    s.rows_at(s.positions(5))
    held = s._window_rows.cache_info().currsize * 4 * 1000
    assert held < 64 * 4 * 1000 * 2
