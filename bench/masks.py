"""MONAI's side of bench/masks.ts: two ellipsoids, one thread, a line a case on stdout."""

import json
import sys
import time
import warnings

import numpy as np
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.surface_dice import compute_surface_dice

warnings.filterwarnings("ignore", category=FutureWarning)
torch.set_num_threads(1)


def ellipsoid(
    shape: list[int], radii: list[float], offset: tuple[int, int, int]
) -> torch.Tensor:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    middle = [n / 2 + o for n, o in zip(shape, offset, strict=True)]
    inside = sum(
        (i - m) ** 2 * (1 / r**2)
        for i, m, r in zip((z, y, x), middle, radii, strict=True)
    )
    return torch.from_numpy(np.asarray(inside <= 1))[None, None]


for case in json.load(sys.stdin):
    reference = ellipsoid(case["shape"], case["radii"], (0, 0, 0))
    prediction = ellipsoid(case["shape"], case["radii"], (2, 0, 3))
    spacing = case["spacing_mm"]
    start = time.perf_counter()
    dice = compute_dice(prediction.float(), reference.float())
    surface = compute_surface_dice(
        prediction,
        reference,
        [1.0],
        include_background=True,
        spacing=spacing,
        use_subvoxels=True,
    )
    compute_hausdorff_distance(
        prediction, reference, include_background=True, percentile=95, spacing=spacing
    )
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {"seconds": seconds, "dice": dice.item(), "surface_dice": surface.item()}
        )
    )
