"""Random numbers as pure functions of (seed, purpose, position): nothing has a state that a killed run could lose.

The hash is the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), chained over the keys. It is computed in
NumPy on the host, so every device and every world size gets the same numbers.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Purpose(IntEnum):
    """What numbers are drawn for; two purposes never share a number."""

    SHARD_ORDER = 1
    WINDOW_ORDER = 2
    AUGMENT = 3
    DROPOUT = 4
    INITIAL_WEIGHTS = 5
    CROP = 6
    ELASTIC = 7
    NOISE = 8


def hashed(seed: int, purpose: Purpose, *keys: ArrayLike) -> NDArray[np.uint64]:
    """Hash (seed, purpose, key, …) to 64 bits; the keys broadcast against each other.

    Returns:
        uint64 array of the keys' broadcast shape, at least 1-d.
    """
    with np.errstate(over="ignore"):
        state = _mix(np.array([seed], dtype=np.uint64) + _GOLDEN)
        for key in (np.array([int(purpose)]), *keys):
            state = _mix(state ^ _mix(np.atleast_1d(np.asarray(key)).astype(np.uint64) + _GOLDEN))
    return state


def uniforms(seed: int, purpose: Purpose, position_N: ArrayLike, num: int) -> NDArray[np.float64]:
    """`num` uniform numbers in [0, 1) for each position, shape (N, num)."""
    position_N1 = np.atleast_1d(np.asarray(position_N))[:, None]
    bits_Nn = hashed(seed, purpose, position_N1, np.arange(num)[None, :])
    uniform_Nn: NDArray[np.float64] = (bits_Nn >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform_Nn


def permutation(seed: int, purpose: Purpose, size: int, *keys: int) -> NDArray[np.int64]:
    """A permutation of range(size) that depends on (seed, purpose, keys) alone."""
    order: NDArray[np.int64] = np.argsort(hashed(seed, purpose, *keys, np.arange(size)), kind="stable")
    return order


def torch_seed(seed: int, purpose: Purpose, *keys: int) -> int:
    """A seed for torch.manual_seed, 63 bits."""
    return int(hashed(seed, purpose, *keys)[0] >> np.uint64(1))


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
