"""Which axes a network halves on its way down: those still long enough, and not yet coarser than the others."""

from __future__ import annotations

from collections.abc import Sequence

Triple = tuple[int, int, int]
# Half of it, 4 voxels, is the smallest feature map of nnU-Net (Isensee et al., Nature Methods 18, 2021).
_SHORTEST = 8


def strides_of_levels(size: Triple, num: int) -> list[Triple]:
    """Strides of `num` steps down: 2 along each axis whose side is even and at least 8 voxels there, else 1.

    An odd side would come back one voxel longer on the way up.
    """
    strides = []
    sides = list(size)
    for _ in range(num):
        step = [2 if side % 2 == 0 and side >= _SHORTEST else 1 for side in sides]
        sides = [side // s for side, s in zip(sides, step, strict=True)]
        strides.append(_triple(step))
    return strides


def plan_levels(size: Triple, spacing_mm: Sequence[float]) -> tuple[list[Triple], list[Triple]]:
    """Strides and kernels of every level by nnU-Net's rule, from the full resolution down to where no axis halves.

    An axis is halved while its side allows it and its spacing is within a factor of 2 of the finest among the axes
    that may still be halved. A kernel is 1 wide along an axis until the others have come within that factor of it,
    and 3 wide from there on.

    Returns:
        Strides into each level, (1, 1, 1) for the first, and the kernels of its convolutions.
    """
    sides, spacing = list(size), list(spacing_mm)
    strides: list[Triple] = [(1, 1, 1)]
    wide = [False, False, False]
    kernels: list[Triple] = []
    while True:
        near = [mm / min(spacing) < 2 and side > 1 for mm, side in zip(spacing, sides, strict=True)]
        # A kernel of 1 with a stride of 2 would leave out every second slice.
        wide = [w or n or s > 1 for w, n, s in zip(wide, near, strides[-1], strict=True)]
        kernels.append(_triple([3 if w else 1 for w in wide]))
        long = [side % 2 == 0 and side >= _SHORTEST for side in sides]
        if not any(long):
            return strides, kernels
        finest = min(mm for mm, is_long in zip(spacing, long, strict=True) if is_long)
        step = [2 if is_long and mm / finest < 2 else 1 for mm, is_long in zip(spacing, long, strict=True)]
        sides = [side // s for side, s in zip(sides, step, strict=True)]
        spacing = [mm * s for mm, s in zip(spacing, step, strict=True)]
        strides.append(_triple(step))


def _triple(values: list[int]) -> Triple:
    z, y, x = values
    return z, y, x
