import numpy as np

from fiducial_engine.randomness import Purpose, hashed, permutation, torch_seed, uniforms


def test_numbers_depend_on_seed_purpose_and_position_alone() -> None:
    together = uniforms(3, Purpose.AUGMENT, [5, 6, 7], 4)
    alone = uniforms(3, Purpose.AUGMENT, [6], 4)
    assert np.array_equal(together[1:2], alone)
    assert not np.array_equal(alone, uniforms(4, Purpose.AUGMENT, [6], 4))
    assert not np.array_equal(alone, uniforms(3, Purpose.DROPOUT, [6], 4))


def test_the_hash_never_changes() -> None:
    # A run resumed by a later version must go on with the same numbers.
    assert hashed(0, Purpose.SHARD_ORDER, 0).tolist() == [2133242336784641628]


def test_uniforms_are_uniform() -> None:
    u = uniforms(0, Purpose.AUGMENT, np.arange(20_000), 2)
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, bins=20, range=(0, 1))[0] / u.size
    assert np.abs(counts - 0.05).max() < 0.004
    assert abs(np.corrcoef(u[:, 0], u[:, 1])[0, 1]) < 0.03
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.03


def test_a_permutation_holds_every_number_once() -> None:
    order = permutation(0, Purpose.SHARD_ORDER, 1000, 2)
    assert sorted(order) == list(range(1000))
    assert not np.array_equal(order, permutation(0, Purpose.SHARD_ORDER, 1000, 3))


def test_torch_seeds_fit_in_63_bits() -> None:
    assert 0 <= torch_seed(2**40, Purpose.DROPOUT, 10**9, 999) < 2**63
